"""Standalone as a real process, and what is left of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc

from tests.support.mesh import ServiceProcess
from tests.support.ports import free_address
from tests.support.waiting import PATIENCE, eventually

WELCOME: Final = "FeatMesh is running"
SERVICES: Final = ("api", "evaluation", "ingest")


@dataclass
class Standalone:
    """Can be started again on the same folder; addresses and data stay."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("--demo",)

    def __post_init__(self) -> None:
        listen = {f"FEATMESH_{name.upper()}_LISTEN": free_address() for name in SERVICES}
        self.variables = {"FEATMESH_DATA_DIR": str(self.data), **listen, **self.variables}
        self.log = self.folder / "output"
        self._process = self._new_process()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def addresses(self) -> list[str]:
        return [self.variables[f"FEATMESH_{name.upper()}_LISTEN"] for name in SERVICES]

    @property
    def credentials(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.data / "credentials.json").read_text())
        return found

    @property
    def mongod_pid(self) -> int:
        return int((self.data / "mongodb" / "mongod.lock").read_text())

    def start(self) -> str:
        """Returns what was printed once it welcomes."""
        self.log.write_text("")
        self._process = self._new_process()
        self._process.start()
        self._process.wait_until_serving()
        last_words = "Ctrl-C stops"
        return eventually(self.log.read_text, accept=lambda text: last_words in text)

    def interrupt(self) -> int:
        """Ctrl-C: to the whole foreground process group, as a terminal does it."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """The exit code."""
        return self._process.stop()

    def wait_for_end(self) -> int:
        """The exit code, when it ends by itself."""
        eventually(lambda: _state(self._process.pid), accept=lambda state: state in {"", "Z"})
        return self.wait()

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.addresses[0])

    def _new_process(self) -> ServiceProcess:
        return ServiceProcess(
            "standalone", self.addresses[0], self.variables, self.log, self.arguments
        )


def run_to_its_end(standalone: Standalone) -> tuple[int, str, str]:
    """Exit code, output and error output of a start that is to be refused."""
    environment = {**os.environ, **standalone.variables}
    run = subprocess.run(
        [sys.executable, "-m", "services.standalone", *standalone.arguments],
        env=environment,
        cwd=standalone.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    # gRPC's C core logs a failed listen by itself, before and whatever we say.
    errors = [line for line in run.stderr.splitlines() if not re.match(r"[EWI]\d{4} ", line)]
    return run.returncode, run.stdout, "\n".join(errors)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
