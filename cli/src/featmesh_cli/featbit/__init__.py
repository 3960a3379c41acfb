"""Reads what a FeatBit installation holds: its flags and segments, as its server stores them.

`read_export` is the way in. Both files are read wholly and every fault is reported before
anything is sent anywhere.
"""

from __future__ import annotations

from featmesh_cli.featbit.export import Export, read_export
from featmesh_cli.featbit.faults import Fault
from featmesh_cli.featbit.paths import Position, locate

__all__ = ["Export", "Fault", "Position", "locate", "read_export"]
