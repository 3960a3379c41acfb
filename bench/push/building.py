"""Builds the generator and the references into a folder that git ignores."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.machine import ROOT

FOLDER: Final = ROOT / ".bench-push"
PATIENCE: Final = 600.0

_HERE: Final = Path(__file__).parent
_GO: Final = _HERE / "generator"
_NODE: Final = _HERE / "references" / "grpc-js"
_GO_NEEDS: Final = "Go 1.26 or later"
_NODE_NEEDS: Final = "Node 20 or later with npm"


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
    _run(command, folder, needs=_NODE_NEEDS)
    return folder / "server.js"


def versions() -> dict[str, str]:
    """Of the tools, and of the packages that the references are built with."""
    (grpc_go,) = re.findall(r"google.golang.org/grpc v(\S+)", (_GO / "go.mod").read_text())
    package = json.loads((_NODE / "package.json").read_text())
    go = _run(["go", "env", "GOVERSION"], _GO, needs=_GO_NEEDS)
    node = _run(["node", "--version"], _NODE, needs=_NODE_NEEDS)
    return {
        "go": go.strip().removeprefix("go"),
        "grpc-go": grpc_go,
        "node": node.strip().removeprefix("v"),
        **package["dependencies"],
    }


def _go_program(name: str) -> Path:
    program = FOLDER / name
    FOLDER.mkdir(exist_ok=True)
    command = ["go", "build", "-buildvcs=false", "-o", str(program), f"./cmd/{name}"]
    _run(command, _GO, needs=_GO_NEEDS)
    return program


def _run(command: list[str], folder: Path, *, needs: str) -> str:
    if shutil.which(command[0]) is None:
        raise CannotBuild(f"{command[0]} is not on the path; the push benchmark needs {needs}")
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode:
        output = (done.stdout + done.stderr)[-2_000:]
        raise CannotBuild(f"{' '.join(command)} failed:\n{output}")
    return done.stdout
