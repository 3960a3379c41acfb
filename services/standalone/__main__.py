"""``python -m services.standalone [--demo]``."""

from __future__ import annotations

import argparse
import os
import sys

from services.runtime.program import EXIT_FAILED, run
from services.standalone.app import StandaloneApp
from services.standalone.errors import StandaloneError
from services.standalone.settings import read_settings
from services.standalone.terminal import complain


def main() -> None:
    """Runs until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m services.standalone",
        description="FeatMesh in one process: api, evaluation and ingest, with a MongoDB of its "
        "own. Settings come from the environment; see docs/operations/settings.md.",
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="at the first start, create an environment with a shop's flags, and keys for it",
    )
    demo = parser.parse_args().demo
    if demo:
        # What is printed for a person stays readable between the warnings alone.
        os.environ.setdefault("FEATMESH_LOG_LEVEL", "WARNING")

    async def compose() -> StandaloneApp:
        return StandaloneApp(read_settings(os.environ), demo=demo)

    try:
        run(compose)
    except StandaloneError as error:
        complain(str(error))
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
