"""Builds the generator and the references into a folder that git ignores."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.load.machine import ROOT

FOLDER: Final = ROOT / ".bench-push"
PATIENCE: Final = 600.0

_HERE: Final = Path(__file__).parent
_GO: Final = _HERE / "generator"
_NODE: Final = _HERE / "references" / "grpc-js"


class CannotBuild(Exception):
    """A tool is missing, or failed; the text says which and what to do."""


def generator() -> Path:
    """The load generator's program."""
    return _go_program("load")


def grpc_go_server() -> Path:
    """The program of the minimal grpc-go server."""
    return _go_program("reference")


def grpc_js_server() -> Path:
    """The script of the minimal @grpc/grpc-js server, beside the package it needs."""
    folder = FOLDER / "grpc-js"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "server.js"):
        shutil.copyfile(_NODE / name, folder / name)
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    _run(command, folder, needs="Node 20 or later with npm")
    return folder / "server.js"


def _go_program(name: str) -> Path:
    program = FOLDER / name
    FOLDER.mkdir(exist_ok=True)
    command = ["go", "build", "-buildvcs=false", "-o", str(program), f"./cmd/{name}"]
    _run(command, _GO, needs="Go 1.26 or later")
    return program


def _run(command: list[str], folder: Path, *, needs: str) -> None:
    if shutil.which(command[0]) is None:
        raise CannotBuild(f"{command[0]} is not on the path; the push benchmark needs {needs}")
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode:
        output = (done.stdout + done.stderr)[-2_000:]
        raise CannotBuild(f"{' '.join(command)} failed:\n{output}")
