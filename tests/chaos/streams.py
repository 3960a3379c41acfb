"""Light readers of the definitions' stream itself: many of them, and some that misbehave."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Hashable, Sequence
from typing import Any, Final

from grpc import aio

from featmesh.engine.model import Flag, Segment
from featmesh.errors import ProtocolError
from featmesh.sync.v1 import sync_pb2
from featmesh.wire.changes import DefinitionAssembler, DefinitionChanges
from tests.chaos.check import order_fault
from tests.chaos.cluster import HEARTBEAT_SECONDS
from tests.chaos.history import Environment, Item, Reader
from tests.chaos.readers import DEFINITIONS
from tests.chaos.truth import Truth
from tests.chaos.waiting import until

SILENCE_SECONDS: Final = 3.0 * HEARTBEAT_SECONDS
"""A stream without a frame for so long is broken."""

LONGEST_PAUSE: Final = 1.0
_METHOD: Final = "/featmesh.sync.v1.SyncService/SyncDefinitions"

_CHANNEL: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", 12_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)

SMALL_WINDOW: Final = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 4_096))
"""Flow control of a reader that lets little more through than it has asked for."""


def channel(address: str, options: Sequence[tuple[str, int]] = ()) -> aio.Channel:
    """A connection of its own."""
    return aio.insecure_channel(address, options=(*_CHANNEL, *options))


def open_stream(connection: aio.Channel, key: str, held: sync_pb2.ResumeToken | None) -> Any:
    """A call whose frames are to be read."""
    method: Any = connection.unary_stream(
        _METHOD,
        sync_pb2.SyncDefinitionsRequest.SerializeToString,
        sync_pb2.SyncDefinitionsResponse.FromString,
    )
    request = sync_pb2.SyncDefinitionsRequest(resume=held)
    return method(request, metadata=(("authorization", f"Bearer {key}"),))


class StreamReader:
    """Applies what a stream brings and resumes for ever; it checks the order of the items."""

    sees = DEFINITIONS

    def __init__(self, name: str, connection: aio.Channel, key: str, environment: str) -> None:
        self.reader = Reader(name, environment)
        self._closed = False
        self._connection = connection
        self._key = key
        self._items: dict[Hashable, Item] = {}
        self._held: sync_pb2.ResumeToken | None = None
        self._call: Any = None
        self._task = asyncio.create_task(self._run())

    async def ready(self) -> None:
        async def look() -> bool:
            return bool(self.reader.seen)

        await until(look, f"{self.reader.name} holds something")

    def truth(self, environment: Environment) -> Truth:
        return Truth.of_definitions(environment)

    def holds(self, truth: Truth) -> bool:
        return self.reader.revision == truth.last

    def sample(self) -> None:
        if self._task.done() and not self._task.cancelled():
            self.reader.faults.append(f"ended: {self._task.exception()!r}")

    def disconnect(self) -> None:
        """The stream ends now and is resumed."""
        if self._call is not None:
            self._call.cancel()

    async def close(self) -> None:
        self._closed = True
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except ProtocolError as error:
                self.reader.faults.append(f"got what contradicts itself: {error}")
            except (aio.AioRpcError, TimeoutError):
                pass  # the fault's doing; what it must not do, the checker sees
            except asyncio.CancelledError:
                if self._closed:
                    raise
                continue  # `disconnect`
            await asyncio.sleep(random.uniform(0, LONGEST_PAUSE))

    async def _follow(self) -> None:
        assembler, flag_came = DefinitionAssembler(), False
        self._call = open_stream(self._connection, self._key, self._held)
        try:
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    frame = await self._call.read()
                if frame is aio.EOF or frame.WhichOneof("frame") == "goodbye":
                    return
                if frame.WhichOneof("frame") == "change_set":
                    flag_came = self._check_order(frame.change_set, flag_came=flag_came)
                    changes = assembler.add(frame.change_set)
                    if changes is not None:
                        self._apply(changes)
        finally:
            self._call.cancel()

    def _check_order(self, part: sync_pb2.DefinitionChangeSet, *, flag_came: bool) -> bool:
        """Whether a flag has come in this set; after one, no segment may."""
        for item in part.items:
            kind = item.WhichOneof("item")
            if kind == "segment" and flag_came:
                self.reader.faults.append(f"revision {part.revision}: a segment after a flag")
            flag_came = flag_came or kind == "flag"
        return flag_came and not part.last

    def _apply(self, changes: DefinitionChanges) -> None:
        items = {} if changes.full else self._items
        for key in changes.deleted_flag_keys:
            items.pop(("flag", key), None)
        for segment_id in changes.deleted_segment_ids:
            items.pop(("segment", segment_id), None)
        arriving: list[Segment | Flag] = [*changes.segments, *changes.flags]
        held = {each.id for each in items.values() if isinstance(each, Segment)}
        if fault := order_fault(held, arriving):
            self.reader.faults.append(f"at revision {changes.revision} {fault}")
        items.update({("segment", each.id): each for each in changes.segments})
        items.update({("flag", each.key): each for each in changes.flags})
        self._items, self._held = items, changes.resume
        self.reader.saw(changes.revision, items, time.monotonic())
