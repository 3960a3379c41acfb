"""The servers that a service may have, each asked by grpcio's own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, cast

import grpc
import pytest
from grpc import aio

from services.runtime.server import new_server
from services.runtime.settings import ServerKind
from tests.support.waiting import PATIENCE

SERVICE: Final = "featmesh.test.v1.Calls"
REQUEST_BYTES: Final = 10_000
"""The largest request, in bytes."""

Handlers = Mapping[str, Any]
"""By name of the method of `SERVICE`."""

Serving = Callable[..., AbstractAsyncContextManager[tuple[Any, Any]]]
"""Takes handlers and the interceptors around them; yields the server and a channel to it."""


@asynccontextmanager
async def serving_with(
    kind: ServerKind, handlers: Handlers, *interceptors: aio.ServerInterceptor
) -> AsyncIterator[tuple[Any, Any]]:
    """See `Serving`."""
    server: Any = new_server(
        kind, interceptors, [("grpc.max_receive_message_length", REQUEST_BYTES)]
    )
    generic = grpc.method_handlers_generic_handler(SERVICE, cast("dict[str, Any]", handlers))
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield server, channel
    finally:
        await server.stop(None)


def unary(behaviour: Callable[[Any, Any], Any]) -> dict[str, Any]:
    return {"Call": grpc.unary_unary_rpc_method_handler(cast("Any", behaviour))}


def ask(channel: Any, data: bytes = b"", method: str = "Call", **options: Any) -> Any:
    return channel.unary_unary(f"/{SERVICE}/{method}")(data, **options)


async def refusal(call: Any) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        async with asyncio.timeout(PATIENCE):
            await call
    return caught.value


async def soon(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await event.wait()


async def echo(data: bytes, _: Any) -> bytes:
    return data
