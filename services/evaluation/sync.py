"""SyncService: requests are checked, and streams handed to the core; bytes pass through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
from grpc import aio

from featmesh.sync.v1 import sync_pb2
from featmesh.wire import context_from_proto
from services.evaluation.authentication import SdkKeys
from services.evaluation.contexts import check, context_violations, text_violations
from services.evaluation.feeds import ClientFeed, DefinitionFeed
from services.evaluation.limits import SDK_TEXT_BYTES
from services.evaluation.replica import Replicas
from services.evaluation.streams import Feed, Streams
from services.evaluation.users import SeenUsers
from services.runtime.errors import Violation

NAME = sync_pb2.DESCRIPTOR.services_by_name["SyncService"].full_name

Call = aio.ServicerContext[Any, bytes]


class SyncService:
    """Both streams."""

    def __init__(
        self, keys: SdkKeys, replicas: Replicas, streams: Streams, users: SeenUsers
    ) -> None:
        self._keys = keys
        self._replicas = replicas
        self._streams = streams
        self._users = users

    def register(self, server: aio.Server) -> None:
        """Without response serializers: frames are bytes already."""
        handlers = {
            "SyncDefinitions": grpc.unary_stream_rpc_method_handler(
                self._sync_definitions, sync_pb2.SyncDefinitionsRequest.FromString, None
            ),
            "SyncEvaluations": grpc.unary_stream_rpc_method_handler(
                self._sync_evaluations, sync_pb2.SyncEvaluationsRequest.FromString, None
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))

    async def _sync_definitions(
        self, request: sync_pb2.SyncDefinitionsRequest, call: Call
    ) -> None:
        key = await self._keys.server_key(call.invocation_metadata())
        check(_stream_violations(request.since, request.sdk))
        await self._serve(key.environment_id, DefinitionFeed(request.since), call)

    async def _sync_evaluations(
        self, request: sync_pb2.SyncEvaluationsRequest, call: Call
    ) -> None:
        key = await self._keys.any_key(call.invocation_metadata())
        check(_stream_violations(request.since, request.sdk))
        check(context_violations(request.context, "context"))
        feed = ClientFeed(context_from_proto(request.context), request.since)
        self._users.saw(key.environment_id, request.context)
        await self._serve(key.environment_id, feed, call)

    async def _serve(self, environment_id: str, feed: Feed, call: Call) -> None:
        replica = await self._replicas.get(environment_id)
        metadata = call.invocation_metadata()
        await self._streams.serve(replica, feed, call, lambda: self._keys.still_opens(metadata))


def _stream_violations(since: int, sdk: sync_pb2.SdkInfo) -> Iterator[Violation]:
    if since < 0:
        yield Violation("since", "is negative")
    yield from text_violations("sdk.name", sdk.name, 0, SDK_TEXT_BYTES)
    yield from text_violations("sdk.version", sdk.version, 0, SDK_TEXT_BYTES)
