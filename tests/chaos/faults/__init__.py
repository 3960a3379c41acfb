"""The table of all faults, in the order in which `make chaos` tries them."""

from __future__ import annotations

from typing import Final

from tests.chaos.faults import broker, clock, crashes, network, readers, restarts, store
from tests.chaos.faults.fault import Fault

FAULTS: Final[tuple[Fault, ...]] = (
    Fault("none", "Nothing happens.", restarts.nothing),
    *crashes.FAULTS,
    *broker.FAULTS,
    *store.FAULTS,
    *network.FAULTS,
    *readers.FAULTS,
    *restarts.FAULTS,
    *clock.FAULTS,
)

__all__ = ["FAULTS", "Fault"]
