"""``python -m services.api [renew-epochs]``."""

from __future__ import annotations

import argparse

from services.api.app import compose, renew_epochs
from services.runtime.program import run, run_once


def main() -> None:
    """Serves until SIGTERM, or carries out a command."""
    parser = argparse.ArgumentParser(
        prog="python -m services.api",
        description="FeatMesh's control plane. Settings come from the environment; see "
        "docs/operations/settings.md.",
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "renew-epochs"),
        default="serve",
        help="renew-epochs: after MongoDB's files were restored from a copy, have every SDK sent "
        "what is stored; everything may be running",
    )
    if parser.parse_args().command == "renew-epochs":
        run_once(renew_epochs)
    else:
        run(compose)


if __name__ == "__main__":
    main()
