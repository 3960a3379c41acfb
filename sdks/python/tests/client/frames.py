"""Frames and definitions for tests."""

from __future__ import annotations

from featmesh.engine import (
    Condition,
    Context,
    Flag,
    Reason,
    Result,
    Rollout,
    Rule,
    Segment,
    Share,
    Value,
    ValueType,
    Variation,
)
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import flag_to_proto, result_to_proto, segment_to_proto

ADA = Context("ada")


def flag(
    key: str,
    value: Value = True,
    *,
    revision: int = 1,
    value_type: ValueType = ValueType.BOOLEAN,
    segment: str = "",
) -> Flag:
    """Serves one value to everybody, or only to members when a segment is named."""
    off: Value = False if value_type is ValueType.BOOLEAN else value
    conditions = (Condition("", "IN_SEGMENT", (segment,)),) if segment else ()
    return Flag(
        key=key,
        value_type=value_type,
        variations=(Variation("v", "Value", value), Variation("off", "Off", off)),
        off_variation_id="off",
        rules=(Rule("r", "Rule", conditions, Rollout((Share("v", 100_000),))),),
        fallthrough=Rollout((Share("off", 100_000),)),
        enabled=True,
        revision=revision,
    )


def definitions(
    kind: sync_pb2.ChangeKind.ValueType,
    revision: int,
    *items: Flag | Segment,
    part: int = 0,
    last: bool = True,
) -> sync_pb2.SyncDefinitionsResponse:
    encoded = [
        sync_pb2.Item(flag=flag_to_proto(item))
        if isinstance(item, Flag)
        else sync_pb2.Item(segment=segment_to_proto(item))
        for item in items
    ]
    change_set = sync_pb2.DefinitionChangeSet(
        kind=kind, revision=revision, part=part, last=last, items=encoded
    )
    if last:
        change_set.resume.CopyFrom(token(revision))
    return sync_pb2.SyncDefinitionsResponse(change_set=change_set)


def token(revision: int, digest: bytes = b"") -> sync_pb2.ResumeToken:
    return sync_pb2.ResumeToken(epoch=b"epoch", revision=revision, digest=digest)


def full(revision: int, *items: Flag | Segment) -> sync_pb2.SyncDefinitionsResponse:
    return definitions(sync_pb2.CHANGE_KIND_FULL, revision, *items)


def patch(revision: int, *items: Flag | Segment) -> sync_pb2.SyncDefinitionsResponse:
    return definitions(sync_pb2.CHANGE_KIND_PATCH, revision, *items)


def digested(
    frame: sync_pb2.SyncDefinitionsResponse, digest: bytes
) -> sync_pb2.SyncDefinitionsResponse:
    frame.change_set.resume.digest = digest
    return frame


def without_token(frame: sync_pb2.SyncDefinitionsResponse) -> sync_pb2.SyncDefinitionsResponse:
    frame.change_set.ClearField("resume")
    return frame


def goodbye(after_ms: int, jitter_ms: int = 0) -> sync_pb2.SyncDefinitionsResponse:
    return sync_pb2.SyncDefinitionsResponse(
        goodbye=sync_pb2.Goodbye(
            reason=sync_pb2.GOODBYE_REASON_DRAINING,
            reconnect_after_ms=after_ms,
            jitter_ms=jitter_ms,
        )
    )


def result(key: str, value: Value, *, revision: int = 1) -> Result:
    return Result(
        flag_key=key,
        value=value,
        variation_id="v",
        reason=Reason.FALLTHROUGH,
        flag_revision=revision,
        value_type=ValueType.STRING if isinstance(value, str) else ValueType.BOOLEAN,
    )


def results(revision: int, *items: Result) -> sync_pb2.SyncEvaluationsResponse:
    messages = [result_to_proto(item, for_client=True) for item in items]
    change_set = sync_pb2.EvaluationChangeSet(
        kind=sync_pb2.CHANGE_KIND_FULL,
        revision=revision,
        last=True,
        items=[sync_pb2.EvaluationItem(result=message) for message in messages],
        resume=token(revision),
    )
    return sync_pb2.SyncEvaluationsResponse(change_set=change_set)
