"""End users: who was seen, with the attributes that came along."""

from __future__ import annotations

from featmesh.messaging.v1 import messaging_pb2
from featmesh.wire import context_from_proto
from services.ingest.decoding import MAX_ID_BYTES, Undecodable, parse, text, time
from services.runtime.contexts import KEY_BYTES
from services.runtime.events import BATCH_USERS
from services.storage.model.observations import UserObservations


def decode_users(payload: bytes) -> UserObservations:
    """The model of a ``featmesh.messaging.v1.UserBatch``; raises `Undecodable`."""
    batch = parse(messaging_pb2.UserBatch, payload)
    if len(batch.users) > BATCH_USERS:
        raise Undecodable("users", f"has {len(batch.users)} elements; the limit is {BATCH_USERS}")
    for index, user in enumerate(batch.users):
        text(f"users[{index}].key", user.key, KEY_BYTES)
    return UserObservations(
        text("environment_id", batch.environment_id, MAX_ID_BYTES),
        [context_from_proto(user) for user in batch.users],
        time("seen_at_ms", batch.seen_at_ms),
    )
