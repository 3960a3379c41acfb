"""What carries the frames of streams: a narrow port, so that another adapter can come beneath.

The core above (`stream`, `broadcaster`, `timers`, `admission`) knows no gRPC. An adapter is given
the routes of a service, and calls the handler of a method once for each stream that is opened.
The contract that every adapter passes is tests/contract/transport.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

Metadata = Iterable[tuple[str, str | bytes]] | None


class FrameWriter(Protocol):
    """The way to one reader. Any task of the loop may use it, one at a time."""

    def try_write(self, frame: bytes) -> Awaitable[None] | None:
        """Hands over one frame: one message of the stream, which may be empty, unchanged.

        None says that it is taken; else it is once what is returned has been awaited, when the
        reader's flow control has let it through. Taken is not received: an adapter, the kernel
        and the reader may hold some frames between them, a bounded number. The next frame is
        offered when this one is taken.

        Awaiting may be cancelled: then nothing is offered any more, whether the reader gets
        the frame is open, and the stream ends as soon as the handler does.

        Raises some Exception when the reader is gone, at once or when awaited; no
        CancelledError but that of the task that awaits.
        """
        ...


@dataclass(frozen=True, slots=True)
class Opening:
    """A stream that is being opened: the decoded request, and who calls."""

    request: Any
    metadata: Metadata


Handler = Callable[[Opening, FrameWriter], Awaitable[None]]
"""Lives as long as the stream, in a task of its own, and without a deadline.

Returning ends the stream well, after the frames that were taken. Raising a `MeshError` ends it
with that error's status and details; what `try_write` raised may pass through, and nobody is told;
anything else ends it with a plain INTERNAL that is logged in full.
It is cancelled when the reader goes away, by a word or with its connection, and when the
adapter stops.
"""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a method's streams go; bytes that ``decode`` refuses are INVALID_ARGUMENT."""

    decode: Callable[[bytes], Any]
    handler: Handler
