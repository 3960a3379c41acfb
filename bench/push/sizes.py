"""How much each scenario does: as issue and goals say, or small for trying."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Numbers of streams and changes. Goals hold for `FULL` alone."""

    streams: int
    """In the fan-out, over environments, of client SDKs, and idle."""
    half: int
    """In the burst, beside unary calls, in the storm and beside stalled readers."""
    environments: int
    changes: int
    """One after the other in a turn, where each is waited for."""
    pairs: int
    """Changes of client and of server streams, in turn: what the former cost more."""
    burst: int
    """Changes in one second."""
    stalled: int
    big_flags: int
    big_clients: int
    idle_after: float
    """Seconds until streams are as they are for hours: every one has sent its first heartbeat."""
    idle_seconds: float
    """Two heartbeats of each stream, and more."""
    has_goals: bool = False


FULL = Size(
    streams=10_000,
    half=5_000,
    environments=100,
    changes=7,
    pairs=20,
    burst=100,
    stalled=50,
    big_flags=3_000,
    big_clients=1_000,
    idle_after=30.0,
    idle_seconds=60.0,
    has_goals=True,
)
QUICK = Size(
    streams=500,
    half=250,
    environments=20,
    changes=5,
    pairs=3,
    burst=100,
    stalled=10,
    big_flags=300,
    big_clients=50,
    idle_after=0.0,
    idle_seconds=10.0,
)

FLAG_BYTES = 1_000
"""Of the flag that is changed."""

BIG_FLAG_BYTES = 2_000
STORM_FLAGS = 50
"""Of `BIG_FLAG_BYTES` each: what an SDK of the storm has to load."""

BURST_SECONDS = 1.0
PROBES_A_SECOND = 200.0
STALLED_CHANGES = 20
"""Without stalled readers, and again beside them."""
