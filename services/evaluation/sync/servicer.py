"""SyncService: definitions to server SDKs, results to client SDKs, as bytes."""

from __future__ import annotations

import asyncio
from typing import Final

from featmesh.sync.v1 import sync_pb2
from services.evaluation.auth.sdk_keys import SdkKeys, environment_of_key
from services.evaluation.broadcast.frames import goodbye_frame
from services.evaluation.broadcast.transport import FrameWriter, Opening, Route
from services.evaluation.contexts import read_context, sdk_violations
from services.evaluation.events.end_users import SeenUsers
from services.evaluation.limits import TOKEN_BYTES
from services.evaluation.replica.replica import Replicas
from services.evaluation.sync.feeds import DefinitionFeed, EvaluationFeed, Feed
from services.evaluation.sync.revocations import Revocations
from services.evaluation.sync.stream import RECONNECT_JITTER_MS, Stream, StreamDeps
from services.runtime.errors import InvalidArgument, Unavailable, Violation
from services.storage.model.credentials import SdkKey
from services.storage.model.resource import Stored

SERVICE: Final = "featmesh.sync.v1.SyncService"

Request = sync_pb2.SyncDefinitionsRequest | sync_pb2.SyncEvaluationsRequest

GOODBYE_BATCHES: Final = 20
"""A drain's Goodbyes go out in so many batches over the drain window."""


class SyncServicer:
    """Opens streams."""

    def __init__(
        self,
        keys: SdkKeys,
        replicas: Replicas,
        users: SeenUsers,
        *,
        revocations: Revocations,
        deps: StreamDeps,
    ) -> None:
        self._keys = keys
        self._replicas = replicas
        self._users = users
        self._revocations = revocations
        self._deps = deps
        self._draining = False

    def routes(self) -> dict[str, Route]:
        """For a transport, by method of `SERVICE`."""
        return {
            "SyncDefinitions": Route(
                sync_pb2.SyncDefinitionsRequest.FromString, self.sync_definitions
            ),
            "SyncEvaluations": Route(
                sync_pb2.SyncEvaluationsRequest.FromString, self.sync_evaluations
            ),
        }

    async def sync_definitions(self, opening: Opening, writer: FrameWriter) -> None:
        """See sync.proto."""
        key = await self._keys.server_key(opening.metadata)
        request = opening.request
        _check(request)
        feed = DefinitionFeed(request.resume.revision, request.resume.digest)
        await self._stream(key, feed, request, writer)

    async def sync_evaluations(self, opening: Opening, writer: FrameWriter) -> None:
        """See sync.proto."""
        key = await self._keys.any_key(opening.metadata)
        _check(opening.request)
        whom = read_context(opening.request.context)
        self._users.see(key.meta.scope_id, whom)
        feed = EvaluationFeed(whom, self._deps.clock_ms)
        await self._stream(key, feed, opening.request, writer)

    async def drain(self, window: float) -> None:
        """Opens nothing new, and tells every stream to go elsewhere, in batches."""
        self._draining = True
        frame = goodbye_frame(sync_pb2.GOODBYE_REASON_DRAINING, 0, RECONNECT_JITTER_MS)
        streams = [
            each for replica in self._replicas.loaded() for each in replica.broadcaster.streams()
        ]
        size = -(-len(streams) // GOODBYE_BATCHES) or 1
        for start in range(0, len(streams), size):
            for stream in streams[start : start + size]:
                stream.end(frame)
            await asyncio.sleep(window / GOODBYE_BATCHES)

    async def _stream(
        self, key: Stored[SdkKey], feed: Feed, request: Request, writer: FrameWriter
    ) -> None:
        with environment_of_key():
            replica = await self._replicas.get(key.meta.scope_id)
            if self._draining:  # asked last: a stream that joins later would not be told to go
                raise Unavailable("this server is stopping; another one serves")
            instance_id = request.sdk.instance_id
            stream = Stream(replica, feed, writer, self._deps, instance_id=instance_id)
            with self._revocations.watched(key, stream):
                await stream.run(request.resume)


def _check(request: Request) -> None:
    held = request.resume
    violations = list(sdk_violations(request.sdk))
    if held.revision < 0:
        violations.append(Violation("resume.revision", f"is {held.revision}; at least 0"))
    for field, value in (("epoch", held.epoch), ("digest", held.digest)):
        if len(value) > TOKEN_BYTES:
            text = f"has {len(value)} bytes; at most {TOKEN_BYTES}"
            violations.append(Violation(f"resume.{field}", text))
    if violations:
        raise InvalidArgument(violations)
