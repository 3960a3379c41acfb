"""The management API's messages, from and to the model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Protocol

from google.protobuf.descriptor import Descriptor
from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.engine import Result
from featmesh.management.v1 import (
    audit_service_pb2,
    end_user_service_pb2,
    flag_service_pb2,
    insight_service_pb2,
    mutation_pb2,
    segment_service_pb2,
    tenancy_pb2,
)
from featmesh.wire import context_to_proto, flag_to_proto, result_to_proto, segment_to_proto
from services.api.auth.authentication import current_actor
from services.api.changes.edits import Label, Mutation
from services.api.changes.end_users import UserImport
from services.api.read.served import Membership
from services.storage.model.changes import AuditEntry, WriteOptions
from services.storage.model.credentials import SdkKey, SdkKeyKind
from services.storage.model.end_users import EndUser, LastServed, UserProperty
from services.storage.model.events import EvaluationCount
from services.storage.model.items import FlagRecord, SegmentRecord
from services.storage.model.resource import Stored, Version
from services.storage.model.tenancy import Environment, Organization, Project

SDK_KEY_KINDS: Final = {
    tenancy_pb2.SDK_KEY_KIND_SERVER: SdkKeyKind.SERVER,
    tenancy_pb2.SDK_KEY_KIND_CLIENT: SdkKeyKind.CLIENT,
}
_SDK_KEY_NUMBERS: Final = {kind: number for number, kind in SDK_KEY_KINDS.items()}


class _Mutating(Protocol):
    """The request of any method that writes."""

    DESCRIPTOR: Descriptor

    @property
    def options(self) -> mutation_pb2.MutationOptions: ...

    def CopyFrom(self, other: Any, /) -> None: ...  # noqa: N802

    def ClearField(self, field_name: Any, /) -> None: ...  # noqa: N802

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes: ...  # noqa: N802


class _Labelled(Protocol):
    name: str
    description: str

    @property
    def tags(self) -> Sequence[str]: ...


def mutation_of(request: _Mutating) -> Mutation:
    """How a write is asked for, by whoever makes the call."""
    options = request.options
    digest = _digest(request) if options.request_id else ""
    asked = WriteOptions(options.request_id, digest, options.validate_only)
    return Mutation(current_actor(), options.comment, asked)


def _digest(request: _Mutating) -> str:
    """The same for all that ask for the same, whatever their options."""
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("options")
    name, fields = request.DESCRIPTOR.full_name, asked.SerializeToString(deterministic=True)
    return sha256(name.encode() + b"\n" + fields).hexdigest()


def label_of(resource: _Labelled) -> Label:
    """Name, description and tags of a resource."""
    return Label(resource.name, resource.description, tuple(resource.tags))


def flag_resource(stored: Stored[FlagRecord]) -> flag_service_pb2.FlagResource:
    """A flag as operators see it."""
    meta, content = stored.meta, stored.content
    return flag_service_pb2.FlagResource(
        flag=flag_to_proto(content.definition),
        name=content.display_name,
        description=content.description,
        tags=content.tags,
        created_at=timestamp(meta.created_at),
        created_by=meta.created_by.display_name,
        updated_at=timestamp(meta.updated_at),
        updated_by=meta.updated_by.display_name,
    )


def segment_resource(stored: Stored[SegmentRecord]) -> segment_service_pb2.SegmentResource:
    """A segment as operators see it."""
    meta, content = stored.meta, stored.content
    return segment_service_pb2.SegmentResource(
        segment=segment_to_proto(content.definition),
        name=content.display_name,
        description=content.description,
        tags=content.tags,
        created_at=timestamp(meta.created_at),
        created_by=meta.created_by.display_name,
        updated_at=timestamp(meta.updated_at),
        updated_by=meta.updated_by.display_name,
    )


def flag_version(version: Version[FlagRecord]) -> flag_service_pb2.FlagVersion:
    """A flag as it once was."""
    return flag_service_pb2.FlagVersion(
        version=version.version,
        revision=version.revision,
        resource=flag_resource(version.stored) if version.stored else None,
    )


def segment_version(
    version: Version[SegmentRecord],
) -> segment_service_pb2.SegmentVersion:
    """A segment as it once was."""
    return segment_service_pb2.SegmentVersion(
        version=version.version,
        revision=version.revision,
        resource=segment_resource(version.stored) if version.stored else None,
    )


def organization_message(stored: Stored[Organization]) -> tenancy_pb2.Organization:
    """An organization."""
    return tenancy_pb2.Organization(
        id=stored.meta.id, key=stored.key, name=stored.content.display_name
    )


def project_message(stored: Stored[Project]) -> tenancy_pb2.Project:
    """A project."""
    return tenancy_pb2.Project(
        id=stored.meta.id,
        organization_id=stored.meta.scope_id,
        key=stored.key,
        name=stored.content.display_name,
    )


def environment_message(stored: Stored[Environment]) -> tenancy_pb2.Environment:
    """An environment."""
    return tenancy_pb2.Environment(
        id=stored.meta.id,
        project_id=stored.meta.scope_id,
        key=stored.key,
        name=stored.content.display_name,
        revision=stored.meta.revision,
        retention_days=stored.content.retention_days,
    )


def sdk_key_message(stored: Stored[SdkKey]) -> tenancy_pb2.SdkKey:
    """An SDK key, without its secret."""
    sdk_key = stored.content
    revoked = sdk_key.revoked_at
    return tenancy_pb2.SdkKey(
        id=stored.meta.id,
        environment_id=stored.meta.scope_id,
        kind=_SDK_KEY_NUMBERS[sdk_key.kind],
        name=sdk_key.display_name,
        last_characters=sdk_key.last_characters,
        created_at=timestamp(stored.meta.created_at),
        revoked_at=timestamp(revoked) if revoked else None,
    )


def audit_entry_message(entry: AuditEntry) -> audit_service_pb2.AuditEntry:
    """An entry of the audit log."""
    return audit_service_pb2.AuditEntry(
        id=entry.id,
        time=timestamp(entry.time),
        actor=entry.actor.display_name,
        resource=f"{entry.kind}/{entry.path.rpartition('/')[2]}",
        operation=entry.operation,
        comment=entry.comment,
        revision=entry.revision,
        before_json=entry.before,
        after_json=entry.after,
    )


def evaluation_count_message(count: EvaluationCount) -> insight_service_pb2.EvaluationCount:
    """One variation in one hour."""
    return insight_service_pb2.EvaluationCount(
        bucket=timestamp(count.hour),
        variation_id=count.variation_id,
        evaluations=count.evaluations,
    )


def end_user_message(user: EndUser) -> insight_service_pb2.EndUser:
    """An end user as last seen."""
    return insight_service_pb2.EndUser(
        context=context_to_proto(user.context),
        first_seen=timestamp(user.first_seen),
        last_seen=timestamp(user.last_seen),
    )


def property_message(known: UserProperty) -> end_user_service_pb2.UserProperty:
    """An attribute that users had."""
    name = f"ATTRIBUTE_TYPE_{known.type}"
    return end_user_service_pb2.UserProperty(
        name=known.name,
        type=end_user_service_pb2.AttributeType.Value(name),
        values=known.values,
    )


def served_flag_message(result: Result, last: LastServed | None) -> end_user_service_pb2.ServedFlag:
    """What a flag serves a user, and what it served last."""
    return end_user_service_pb2.ServedFlag(
        result=result_to_proto(result, for_client=False),
        last_variation_id=last.variation_id if last else "",
        last_time=timestamp(last.time) if last else None,
    )


def membership_message(membership: Membership) -> end_user_service_pb2.UserSegment:
    """A segment that a user is in."""
    segment = membership.segment
    return end_user_service_pb2.UserSegment(
        segment_id=segment.id, segment_key=segment.key, listed=membership.listed
    )


def import_message(done: UserImport) -> end_user_service_pb2.ImportEndUsersResponse:
    """What came of an import."""
    return end_user_service_pb2.ImportEndUsersResponse(
        created=done.counts.created,
        updated=done.counts.updated,
        unchanged=done.counts.unchanged,
        refused=done.refused,
        refusals=[
            end_user_service_pb2.RefusedUser(line=each.line, field=each.field, reason=each.reason)
            for each in done.refusals
        ],
    )


def timestamp(time: datetime) -> Timestamp:
    """A time."""
    message = Timestamp()
    message.FromDatetime(time)
    return message
