"""SyncService: definitions to server SDKs, results to client SDKs, as bytes."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc
from grpc import aio

from featmesh.sync.v1 import sync_pb2
from services.evaluation.authentication import SdkKeys
from services.evaluation.contexts import read_context
from services.evaluation.feeds import ClockMs, DefinitionFeed, EvaluationFeed, Feed
from services.evaluation.frames import goodbye_frame
from services.evaluation.limits import SDK_TEXT_BYTES
from services.evaluation.replica import Replicas
from services.evaluation.revocations import Revocations
from services.evaluation.seen_users import SeenUsers
from services.evaluation.stream import RECONNECT_JITTER_MS, Pace, Stream
from services.runtime.contexts import text_violations
from services.runtime.errors import InvalidArgument, Unavailable, Violation
from services.runtime.interceptor import Context
from services.storage.model import SdkKey

SERVICE: Final = "featmesh.sync.v1.SyncService"

GOODBYE_BATCHES: Final = 20
"""A drain's Goodbyes go out in so many batches over the drain window."""


class SyncServicer:
    """Opens streams. Its handlers write bytes: no message is serialised for one stream."""

    def __init__(
        self,
        keys: SdkKeys,
        replicas: Replicas,
        users: SeenUsers,
        *,
        revocations: Revocations,
        pace: Pace,
        clock_ms: ClockMs,
    ) -> None:
        self._keys = keys
        self._replicas = replicas
        self._users = users
        self._revocations = revocations
        self._pace = pace
        self._clock_ms = clock_ms
        self._draining = False

    def register(self, server: aio.Server) -> None:
        """Adds the service with serialisers that let bytes pass."""
        handlers: dict[str, Any] = {
            "SyncDefinitions": grpc.unary_stream_rpc_method_handler(
                self.sync_definitions, sync_pb2.SyncDefinitionsRequest.FromString, None
            ),
            "SyncEvaluations": grpc.unary_stream_rpc_method_handler(
                self.sync_evaluations, sync_pb2.SyncEvaluationsRequest.FromString, None
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    async def sync_definitions(
        self, request: sync_pb2.SyncDefinitionsRequest, context: Context
    ) -> None:
        """See sync.proto."""
        key = await self._keys.server_key(context.invocation_metadata())
        _check(request)
        await self._stream(key, DefinitionFeed(), request.since, context)

    async def sync_evaluations(
        self, request: sync_pb2.SyncEvaluationsRequest, context: Context
    ) -> None:
        """See sync.proto."""
        key = await self._keys.any_key(context.invocation_metadata())
        _check(request)
        whom = read_context(request.context)
        self._users.see(key.environment_id, whom)
        await self._stream(key, EvaluationFeed(whom, self._clock_ms), request.since, context)

    async def drain(self, window: float) -> None:
        """Opens nothing new, and tells every stream to go elsewhere, in batches."""
        self._draining = True
        frame = goodbye_frame(sync_pb2.GOODBYE_REASON_DRAINING, 0, RECONNECT_JITTER_MS)
        cursors = [each for replica in self._replicas.loaded() for each in replica.hub.cursors()]
        size = -(-len(cursors) // GOODBYE_BATCHES) or 1
        for start in range(0, len(cursors), size):
            for cursor in cursors[start : start + size]:
                cursor.end(frame)
            await asyncio.sleep(window / GOODBYE_BATCHES)

    async def _stream(self, key: SdkKey, feed: Feed, since: int, context: Any) -> None:
        replica = await self._replicas.get(key.environment_id)
        await replica.reach(since)
        if self._draining:  # asked last: a stream that joins later would not be told to go
            raise Unavailable("this server is stopping; another one serves")
        stream = Stream(replica, feed, self._pace, self._clock_ms)
        with self._revocations.watched(key, context.invocation_metadata(), stream):
            await stream.run(since, context.write)


def _check(request: sync_pb2.SyncDefinitionsRequest | sync_pb2.SyncEvaluationsRequest) -> None:
    violations = [
        *text_violations("sdk.name", request.sdk.name, 0, SDK_TEXT_BYTES),
        *text_violations("sdk.version", request.sdk.version, 0, SDK_TEXT_BYTES),
    ]
    if request.since < 0:
        violations.append(Violation("since", f"is {request.since}; at least 0"))
    if violations:
        raise InvalidArgument(violations)
