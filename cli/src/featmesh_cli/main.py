"""The entry point, which works even where the command line's own parts are missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("click", "rich", "google.rpc")


def main() -> None:
    """Runs the command line; exit code 1 for an error, 2 for wrong usage."""
    if not all(_is_installed(module) for module in NEEDED):
        sys.stderr.write("A part of the command line is missing: pip install featmesh-cli\n")
        sys.exit(1)
    from featmesh_cli.app import run

    run()


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is missing
        return False
