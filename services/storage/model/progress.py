"""How far an environment's streams have come, as one `evaluation` process counts them."""

from __future__ import annotations

from dataclasses import dataclass

from services.storage.model.durations import Durations


@dataclass(frozen=True, slots=True)
class RevisionProgress:
    """Streams at exactly one revision, and how long those that took it needed for it.

    Durations run from the commit to the server's write, and to application in the SDK.
    """

    revision: int
    delivered: int
    applied: int
    delivered_durations: Durations
    applied_durations: Durations


@dataclass(frozen=True, slots=True)
class StreamProgress:
    """One process's streams of one environment.

    ``revisions`` are the newest ones, in order; a stream that stands at none of them is
    behind the first.
    """

    environment_id: str
    streams: int
    revisions: tuple[RevisionProgress, ...]
