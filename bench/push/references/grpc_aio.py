"""grpc.aio as people write it: an async generator, a queue and a message for each stream.

Plain asyncio, no options. Control as in generator/cmd/reference; run as
`python -m bench.push.references.grpc_aio`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from grpc import aio

from featmesh.sync.v1 import sync_pb2, sync_pb2_grpc

LIFETIME: Final = 15 * 60.0
LINE_BYTES: Final = 2 * 1024 * 1024
Frame = sync_pb2.SyncDefinitionsResponse


class SyncServicer(sync_pb2_grpc.SyncServiceServicer):
    """Sends the current message, and then each one that is pushed."""

    def __init__(self) -> None:
        self.queues: set[asyncio.Queue[Frame]] = set()
        self.current = Frame()

    async def SyncDefinitions(  # noqa: N802 -- gRPC's name
        self, request: sync_pb2.SyncDefinitionsRequest, context: Any
    ) -> AsyncIterator[Frame]:
        """One stream."""
        queue: asyncio.Queue[Frame] = asyncio.Queue()
        self.queues.add(queue)
        try:
            yield self.current
            while True:
                yield await queue.get()
        finally:
            self.queues.discard(queue)

    def push(self, message: Frame) -> int:
        """The message goes to every stream; how many there are."""
        self.current = message
        for queue in self.queues:
            queue.put_nowait(message)
        return len(self.queues)


async def serve() -> None:
    """Until standard input ends."""
    servicer = SyncServicer()  # type: ignore[abstract] # its base refuses the other method
    server = aio.server()
    sync_pb2_grpc.add_SyncServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _answer(port=port)
    lines = asyncio.StreamReader(limit=LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    async for line in lines:
        at = time.time_ns()
        message = Frame.FromString(base64.b64decode(json.loads(line)["frame"]))
        _answer(streams=servicer.push(message), at=at)
    await server.stop(None)


def _answer(**fields: int) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(serve(), LIFETIME))
