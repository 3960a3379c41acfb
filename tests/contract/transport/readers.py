"""A reader of streams over a connection of its own: any gRPC client, here grpcio's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from grpc import aio

from services.evaluation.broadcast.transport import FrameWriter, Handler, Route
from tests.contract.transport.adapters import SERVICE, Serve
from tests.support.waiting import PATIENCE

METHOD: Final = "Watch"

_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.http2.bdp_probe", 0),  # the window stays as small as it is, whatever is read
    ("grpc.http2.lookahead_bytes", 65_536),
)


class Reading:
    """One stream, read by hand."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def frame(self) -> bytes:
        """The next one."""
        data = await self._read()
        assert isinstance(data, bytes), "the stream has ended"
        return data

    async def end(self) -> None:
        """Returns when the stream has ended well, without another frame."""
        assert await self._read() is aio.EOF

    async def refused(self) -> aio.AioRpcError:
        """The error that it ends with; frames before it are passed over."""
        with pytest.raises(aio.AioRpcError) as caught:
            await self._read_to_the_end()
        return caught.value

    def cancel(self) -> None:
        """The reader goes away."""
        self.call.cancel()

    async def _read_to_the_end(self) -> None:
        while await self._read() is not aio.EOF:
            pass

    async def _read(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self.call.read()


class Connection:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._channel = aio.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS)

    def open(
        self,
        request: bytes = b"",
        *,
        metadata: Sequence[tuple[str, str | bytes]] = (),
        method: str = METHOD,
    ) -> Reading:
        """Opens a stream."""
        call: Any = self._channel.unary_stream(f"/{SERVICE}/{method}", None, None)
        return Reading(call(request, metadata=tuple(metadata)))

    async def close(self) -> None:
        """Ends its streams."""
        await self._channel.close()


async def hand_over(writer: FrameWriter, *frames: bytes) -> None:
    """As the core does it."""
    for frame in frames:
        waiting = writer.try_write(frame)
        if waiting is not None:
            await waiting


@asynccontextmanager
async def connected(
    serve: Serve, handler: Handler | Mapping[str, Route]
) -> AsyncIterator[Connection]:
    """A connection to an adapter that carries `METHOD`, or these routes."""
    routes = handler if isinstance(handler, Mapping) else {METHOD: Route(bytes, handler)}
    async with serve(routes) as port:
        connection = Connection(port)
        try:
            yield connection
        finally:
            await connection.close()
