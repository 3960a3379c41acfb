"""What all resources' messages have in common, from the model."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.management.v1 import resource_pb2 as pb
from services.storage.model.actor import Actor
from services.storage.model.resource import AnyStored


def timestamp(time: datetime | None) -> Timestamp | None:
    """Returns a time as a message; None stays None."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def time_of(message: Timestamp) -> datetime:
    """Returns a checked message's time in UTC, in whole milliseconds."""
    time = message.ToDatetime(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def actor_message(actor: Actor) -> pb.Actor:
    """Returns who did something."""
    kind = pb.ActorKind.Value(f"ACTOR_KIND_{actor.kind}")
    return pb.Actor(kind=kind, id=actor.id, display_name=actor.display_name)


def meta_message(stored: AnyStored) -> pb.ResourceMeta:
    """Returns what the server says of a resource; without an id before it is made."""
    meta = stored.meta
    return pb.ResourceMeta(
        id=meta.id,
        version=meta.version,
        revision=meta.revision,
        created_at=timestamp(meta.created_at),
        created_by=actor_message(meta.created_by),
        updated_at=timestamp(meta.updated_at),
        updated_by=actor_message(meta.updated_by),
    )
