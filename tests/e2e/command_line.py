"""An operator at a terminal: the real command line in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.mesh import ROOT, Mesh
from tests.support.places import Place
from tests.support.waiting import PATIENCE

FEATMESH: Final = str(Path(sys.executable).with_name("featmesh"))
SHOP: Final = ROOT / "examples" / "shop"
SHOP_FILES: Final = (f"--flags={SHOP / 'flags.json'}", f"--segments={SHOP / 'segments.json'}")


@dataclass(frozen=True)
class Operator:
    """Works on one environment; the shell's own FEATMESH_ variables are not taken over."""

    variables: Mapping[str, str]

    def run(self, *arguments: str, **variables: str) -> str:
        """What a command prints that succeeds."""
        done = self._process(arguments, variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """What a command prints, parsed."""
        return json.loads(self.run(*arguments))

    def refused(self, *arguments: str, code: int = 1, **variables: str) -> str:
        """What a command says that must fail: on standard error, without a traceback."""
        done = self._process(arguments, variables)
        assert done.returncode == code, done.stdout + done.stderr
        assert not done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr.strip()

    def is_let_in(self, *arguments: str, **variables: str) -> bool:
        """Whether a command succeeds; it must fail for no other reason than its secret."""
        done = self._process(arguments, variables)
        assert done.returncode == 0 or "not let in" in done.stderr, done.stderr
        return done.returncode == 0

    def behind(self, *arguments: str) -> str:
        """What a command that waits says on standard error when that is in vain."""
        done = self._process((*arguments, "--wait-timeout", "1"), {})
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr.strip()

    def environment(self, **variables: str) -> dict[str, str]:
        """Of a process that this operator starts; an empty variable counts as not set."""
        own = {name: value for name, value in os.environ.items() if "FEATMESH_" not in name}
        return {**own, **self.variables, **variables}

    def _process(
        self, arguments: tuple[str, ...], variables: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FEATMESH, *arguments],
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


def operator_of(mesh: Mesh, place: Place | None = None, **others: str) -> Operator:
    """With the administrator's token, and the place's environment and server key."""
    variables = {
        "FEATMESH_API": mesh.api,
        "FEATMESH_EVALUATION": mesh.evaluation,
        "FEATMESH_TOKEN": mesh.token,
    }
    if place is not None:
        variables["FEATMESH_ENVIRONMENT"] = place.environment
        variables["FEATMESH_SDK_KEY"] = place.server_key
    return Operator({**variables, **others})
