"""End users: who was seen, with the attributes that came along."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from featmesh.engine.model import Context
from featmesh.messaging.v1 import messaging_pb2
from featmesh.wire import context_from_proto
from services.ingest.decoding import (
    MAX_ID_BYTES,
    MAX_USER_KEY_BYTES,
    Undecodable,
    parse,
    text,
    time,
)
from services.messaging.ports import Message
from services.storage.ports.insights import InsightStore

MAX_USERS: Final = 1_000


async def store_users(store: InsightStore, message: Message) -> None:
    """Upserts a batch; one that is delivered again changes nothing. Raises `Undecodable`."""
    environment_id, users, seen_at = decode_users(message.payload)
    await store.upsert_end_users(environment_id, users, seen_at)


def decode_users(payload: bytes) -> tuple[str, Sequence[Context], datetime]:
    """Environment, users and the time of a ``featmesh.messaging.v1.UserBatch``."""
    batch = parse(messaging_pb2.UserBatch, payload)
    if len(batch.users) > MAX_USERS:
        raise Undecodable("users", f"has {len(batch.users)} elements; the limit is {MAX_USERS}")
    for index, user in enumerate(batch.users):
        text(f"users[{index}].key", user.key, MAX_USER_KEY_BYTES)
    return (
        text("environment_id", batch.environment_id, MAX_ID_BYTES),
        [context_from_proto(user) for user in batch.users],
        time("seen_at_ms", batch.seen_at_ms),
    )
