"""The messages of end users, from the model."""

from __future__ import annotations

from featmesh.engine import Result
from featmesh.management.v1 import end_user_service_pb2 as pb
from featmesh.wire import context_to_proto, result_to_proto
from services.api.changes.end_users import UserImport
from services.api.read.served import Membership
from services.api.rpc.messages import timestamp
from services.storage.model.end_users import EndUser, LastServed, UserProperty


def end_user_message(user: EndUser) -> pb.EndUser:
    """Returns an end user as last seen."""
    return pb.EndUser(
        context=context_to_proto(user.context),
        first_seen=timestamp(user.first_seen),
        last_seen=timestamp(user.last_seen),
    )


def property_message(known: UserProperty) -> pb.UserProperty:
    """Returns an attribute that users had."""
    type_ = pb.AttributeType.Value(f"ATTRIBUTE_TYPE_{known.type}")
    return pb.UserProperty(name=known.name, type=type_, values=known.values)


def served_flag_message(result: Result, last: LastServed | None) -> pb.ServedFlag:
    """Returns what a flag serves a user, and what it served last."""
    return pb.ServedFlag(
        result=result_to_proto(result, for_client=False),
        last_variation_id=last.variation_id if last else "",
        last_time=timestamp(last.time) if last else None,
    )


def membership_message(membership: Membership) -> pb.UserSegment:
    """Returns a segment that a user is in."""
    segment = membership.segment
    return pb.UserSegment(segment_id=segment.id, segment_key=segment.key, listed=membership.listed)


def import_message(done: UserImport) -> pb.ImportEndUsersResponse:
    """Returns what came of an import."""
    return pb.ImportEndUsersResponse(
        created=done.counts.created,
        updated=done.counts.updated,
        unchanged=done.counts.unchanged,
        refused=done.refused,
        refusals=[
            pb.RefusedUser(line=each.line, field=each.field, reason=each.reason)
            for each in done.refusals
        ],
    )
