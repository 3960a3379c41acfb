"""The demo's flags and segments: a shop's, in FeatBit's format, from this checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import services
from featmesh_cli.featbit import Export, read_export
from services.standalone.errors import StandaloneError

FOLDER: Final = Path(services.__file__).resolve().parents[1] / "examples" / "shop"

LIVE_FLAG: Final = "checkout-enabled"
"""A kill switch: what toggling it does can be seen at once."""


def read_demo(folder: Path = FOLDER) -> Export:
    """Both files without a fault; raises `StandaloneError`."""
    if not folder.is_dir():
        raise StandaloneError(
            f"the demo's data is not there ({folder}): --demo works in a checkout of the "
            "repository; without it FeatMesh starts empty"
        )
    export = read_export(folder / "flags.json", folder / "segments.json")
    if export.faults:
        raise StandaloneError("\n".join(str(fault) for fault in export.faults))
    return export
