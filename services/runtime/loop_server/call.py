"""One call at the server: its messages, its status and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
from grpc import aio
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from services.runtime.loop_server.completions import Completions, Event

SendMessageOperation = cygrpc.SendMessageOperation

Metadata = tuple[tuple[str, str | bytes], ...]

_FLAGS: Final = 0
_HEADERS: Final[Metadata] = ()
_EVENTS_PER_SEND: Final = 16
"""Looked at for the one that says that a message was taken."""


class CallEnded(Exception):
    """The caller is gone, or was already given a status."""


class Call:
    """A call that was accepted. It is a context for servicers, and a wire for frames.

    ``metadata`` is what the caller sent; ``serialize`` is for `write`. One message at a time.
    ``on_gone`` is called when the caller goes away before it was given a status.
    """

    __slots__ = (
        "_call",
        "_completions",
        "_has_headers",
        "_metadata",
        "_received",
        "_taken",
        "ended",
        "on_gone",
        "serialize",
    )

    def __init__(self, call: Any, metadata: Metadata, completions: Completions) -> None:
        self.ended = False
        self.serialize: Callable[[Any], bytes] | None = None
        self.on_gone: Callable[[], object] | None = None
        self._call = call
        self._metadata = metadata
        self._completions = completions
        self._has_headers = False
        self._taken: asyncio.Future[None] | None = None
        self._received: asyncio.Future[bytes | None] | None = None

    def accept(self) -> None:
        """To be called once, first: the caller's end is looked for from now on."""
        self._completions.begin(
            self._call, (cygrpc.ReceiveCloseOnServerOperation(_FLAGS),), self._on_close
        )

    def invocation_metadata(self) -> Metadata:
        """What the caller sent."""
        return self._metadata

    async def receive(self) -> bytes | None:
        """The caller's next message; None after its last one, or when it is gone."""
        self._received = received = asyncio.get_running_loop().create_future()
        self._completions.begin(
            self._call, (cygrpc.ReceiveMessageOperation(_FLAGS),), self._on_message
        )
        message: bytes | None = await received
        return message

    async def requests(self, parse: Callable[[bytes], Any]) -> AsyncIterator[Any]:
        """The caller's messages to the last."""
        while (data := await self.receive()) is not None:
            yield parse(data)

    def try_write(self, frame: bytes) -> asyncio.Future[None] | None:
        """See `services.evaluation.broadcast.transport.Wire`; raises `CallEnded`."""
        if self.ended:
            raise CallEnded
        message = SendMessageOperation(frame, _FLAGS)
        batch = (message,) if self._has_headers else (*self._headers(), message)
        completions = self._completions
        completions.begin(self._call, batch, self)
        # What follows is the hottest path of all: most readers have taken the frame by now.
        event = completions.next()
        if event.tag is not self:
            return self._wait_for(event)
        if not event.success:
            raise CallEnded
        return None

    def __call__(self, event: Event) -> None:
        """The message that was offered is taken, or never will be: a call is the tag of its own."""
        taken, self._taken = self._taken, None
        if taken is None or taken.done():
            return
        if event.success:
            taken.set_result(None)
        else:
            taken.set_exception(CallEnded())

    def _wait_for(self, other: Event) -> asyncio.Future[None] | None:
        """Another event came first, or none: the message's own may be among the next ones."""
        self._taken = taken = asyncio.get_running_loop().create_future()
        self._completions.handle(other)
        for _ in range(_EVENTS_PER_SEND):
            if taken.done() or not self._completions.handle_one():
                break
        if not taken.done():
            return taken
        taken.result()
        return None

    async def write(self, message: Any) -> None:
        """Returns when it is taken. Who writes to nobody is cancelled, as its task will be."""
        try:
            waiting = self.try_write(self.serialize(message) if self.serialize else message)
            if waiting is not None:
                await waiting
        except CallEnded:
            raise asyncio.CancelledError from None

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()
    ) -> None:
        """Ends the call with this status; raises `aio.AbortError`, always."""
        self.finish(code, details, trailing_metadata)
        raise aio.AbortError("the call was given a status")

    def finish(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: Metadata = (),
        *,
        message: bytes | None = None,
    ) -> None:
        """Gives the caller a last message and the status; does nothing if it has ended."""
        if self.ended:
            return
        self.ended = True
        batch = (
            *self._headers(),
            *(() if message is None else (SendMessageOperation(message, _FLAGS),)),
            cygrpc.SendStatusFromServerOperation(
                trailing_metadata, code.value[0], details.encode(), _FLAGS
            ),
        )
        self._completions.begin(self._call, batch, _ignore)

    def _headers(self) -> tuple[Any, ...]:
        if self._has_headers:
            return ()
        self._has_headers = True
        return (cygrpc.SendInitialMetadataOperation(_HEADERS, _FLAGS),)

    def _on_message(self, event: Event) -> None:
        received, self._received = self._received, None
        if received is not None and not received.done():
            received.set_result(event.batch_operations[0].message())

    def _on_close(self, event: Event) -> None:
        if not event.batch_operations[0].cancelled() or self.ended:
            return
        self.ended = True
        if self.on_gone is not None:
            self.on_gone()


def _ignore(_: Event) -> None:
    """The caller learns of the status, or is gone: nothing is left to do."""
