"""What a fault is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.stage import Stage


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong, and afterwards is over.

    ``inject`` returns when it is; what it broke itself it has put right, or `Cluster.whole`
    will. Beside what every trial checks it may check an invariant of its own, and raise
    AssertionError or `NeverCame`.
    """

    name: str
    what: str
    inject: Callable[[Stage], Awaitable[None]]
