"""AuditService: who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from featmesh.management.v1 import audit_service_pb2 as pb
from services.api.rpc.call import Call
from services.api.rpc.dispatch import Behaviour
from services.api.rpc.filters import parse_predicate
from services.api.rpc.messages import actor_message, timestamp
from services.api.rpc.requests import page_size
from services.runtime.errors import InvalidArgument
from services.storage.model.changes import AuditEntry
from services.storage.model.queries import And, AuditQuery, Equals, Predicate
from services.storage.ports.resources import Resources

SERVICE: Final = pb.DESCRIPTOR.services_by_name["AuditService"]

ENTRIES_WITH_CONTENTS: Final = 20
"""Most entries of a page that shows contents: each may be two resources."""

_FIELDS: Final[Mapping[str, type]] = {"resource": str, "actor": str, "operation": str}
"""Fields that a filter may name."""


class AuditMethods:
    """Shows the log."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def methods(self) -> dict[str, Behaviour]:
        """Returns all of them."""
        return {"ListAuditEntries": self.list}

    async def list(
        self, request: pb.ListAuditEntriesRequest, call: Call
    ) -> pb.ListAuditEntriesResponse:
        """Answers with a page, newest first."""
        wanted, size = _wanted(request.filter), page_size(request.page)
        query = AuditQuery(
            size=min(size, ENTRIES_WITH_CONTENTS) if request.contents else size,
            token=request.page.token,
            scope_id=call.scope_id,
            path=wanted.get("resource", ""),
            actor_id=wanted.get("actor", ""),
            operation=wanted.get("operation", ""),
            is_basic=not request.contents,
        )
        page = await self._resources.list_audit_entries(query)
        return pb.ListAuditEntriesResponse(
            entries=map(_message, page.items), next_token=page.next_token
        )


def _wanted(text: str) -> dict[str, str]:
    """Returns the values that a filter compares fields with; raises `InvalidArgument`."""
    predicate = parse_predicate(text, _FIELDS)
    wanted: dict[str, str] = {}
    for part in _parts(predicate):
        if not isinstance(part, Equals) or part.field in wanted or not part.value:
            known = ", ".join(_FIELDS)
            text = f"may only ask for one value each of {known}: field = value, joined by AND"
            raise InvalidArgument.of("filter", text)
        wanted[part.field] = str(part.value)
    return wanted


def _parts(predicate: Predicate | None) -> tuple[Predicate, ...]:
    if predicate is None:
        return ()
    return predicate.parts if isinstance(predicate, And) else (predicate,)


def _message(entry: AuditEntry) -> pb.AuditEntry:
    return pb.AuditEntry(
        id=entry.id,
        time=timestamp(entry.time),
        actor=actor_message(entry.actor),
        resource=entry.path,
        operation=entry.operation,
        comment=entry.comment,
        revision=entry.revision,
        version_before=entry.before_version,
        version_after=entry.after_version,
        request_id=entry.request_id,
        before_json=entry.before,
        after_json=entry.after,
    )
