"""What carries the frames of streams: a narrow port, so that another adapter can come beneath.

The core above (`stream`, `hub`, `pacer`, `admission`) knows no gRPC. An adapter calls the
handler that was routed to a method once for each stream that is opened, and gives it a `Wire`.
The contract that every adapter passes is tests/contract/transport.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

Metadata = Iterable[tuple[str, str | bytes]] | None


class Wire(Protocol):
    """The way to one reader."""

    def offer(self, frame: bytes) -> Awaitable[None] | None:
        """Hands over one frame, at most one at a time.

        None says that it is taken; else it is once what is returned has been awaited, when the
        reader's flow control has let it through. Awaiting may be cancelled, which ends the
        stream. Raises some Exception when the reader is gone, at once or when awaited.
        """
        ...


@dataclass(frozen=True, slots=True)
class Opening:
    """A stream that is being opened: the decoded request, and who calls."""

    request: Any
    metadata: Metadata


Handler = Callable[[Opening, Wire], Awaitable[None]]
"""Lives as long as the stream. Returning ends it well, raising a `MeshError` with that status;
it is cancelled when the reader goes away."""
