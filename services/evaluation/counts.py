"""What happens often enough that counting it must cost next to nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Plain numbers that only the event loop raises; `EvaluationMetrics` exports them."""

    full_syncs: int = 0
    """First change sets that held everything."""
    patch_syncs: int = 0
    """First change sets that held what had changed while the reader was away."""
    pushes: int = 0
    """Change sets after the first."""
    slow_readers: int = 0
    snapshots: int = 0
    """Snapshots that were built after a change."""
    snapshot_seconds: float = 0.0
    """From their changes' revisions until they were there, together."""
