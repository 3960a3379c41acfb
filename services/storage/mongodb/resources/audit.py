"""Who changed what: an entry for each resource of each change, without copies of it.

What was before and after is read from history, so that an entry is a few hundred bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from services.storage.model.changes import AuditEntry, Change
from services.storage.model.kinds import KINDS
from services.storage.model.pages import Page
from services.storage.model.queries import AuditQuery
from services.storage.model.resource import Ancestry, Scope
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.paging import Order, Rows, read_page
from services.storage.mongodb.resources.codecs import (
    actor_document,
    actor_of,
    codec_of,
    scope_field,
)
from services.storage.mongodb.resources.history import (
    CHAIN,
    collection_of,
    documents_of,
    history_id,
)
from services.storage.mongodb.resources.scopes import ancestors, child_path

if TYPE_CHECKING:
    from services.storage.mongodb.resources.outcomes import Moment, Outcome

_NEWEST_FIRST: Final = Order(("sequence", "position", "_id"), (int, int, str), descending=True)
_HIDDEN: Final = frozenset({"_id", CHAIN, "deleted", "held", "floor", "path", "organization"})


def audit_document(
    change: Change, outcome: Outcome, scope: Ancestry, moment: Moment, position: int
) -> Document:
    """The entry of one item; ``sequence`` orders those of a scope, whatever the clock does."""
    target = outcome.target
    deletion = outcome.is_deletion
    sizes = outcome.entry.size * (2 if outcome.head and not deletion else 1)
    return {
        "_id": str(uuid4()),
        "sequence": moment.revision or round(moment.time.timestamp() * 1000),
        "position": position,
        "time": moment.time,
        "actor": actor_document(change.actor),
        "operation": target.change.operation,
        "kind": target.kind.name,
        "resource_id": target.id,
        "path": child_path(scope, target.kind, target.key),
        "level": scope.level.value,
        **ancestors(scope),
        "before_version": target.change.before.meta.version if target.change.before else 0,
        "after_version": outcome.document["version"],
        "revision": moment.revision,
        "comment": change.comment,
        "request_id": change.options.request_id,
        "size": sizes,
    }


async def list_entries(
    connection: Connection, query: AuditQuery, scope: Ancestry
) -> Page[AuditEntry]:
    """As `Resources.list_audit_entries`."""
    page = await read_page(
        connection["audit_log"],
        _filter(query, scope),
        order=_NEWEST_FIRST,
        size=query.size,
        token=query.token,
        rows=Rows(lambda document: document, weigh=None if query.is_basic else _weight),
    )
    entries = [_entry_of(document) for document in page.items]
    if not query.is_basic:
        entries = await _with_content(connection, entries)
    return Page(tuple(entries), page.next_token)


def _weight(document: Document) -> int:
    """Bytes of what its versions hold, which are shown with it."""
    size: int = document.get("size", 0)
    return size


def _filter(query: AuditQuery, scope: Ancestry) -> Document:
    conditions: Document = {}
    if scope.level is not Scope.INSTALLATION:
        conditions[scope.level.value.lower()] = scope.scope_id
    if query.path:
        below = {"$gte": f"{query.path}/", "$lt": f"{query.path}0"}  # "0" follows "/"
        conditions["$or"] = [{"path": query.path}, {"path": below}]
    if query.actor_id:
        conditions["actor.id"] = query.actor_id
    if query.operation:
        conditions["operation"] = query.operation
    return conditions


def _entry_of(document: Document) -> AuditEntry:
    return AuditEntry(
        id=document["_id"],
        time=document["time"],
        actor=actor_of(document["actor"]),
        operation=document["operation"],
        kind=document["kind"],
        resource_id=document["resource_id"],
        path=document["path"],
        level=Scope(document["level"]),
        organization_id=document.get("organization", ""),
        project_id=document.get("project", ""),
        environment_id=document.get("environment", ""),
        before_version=document["before_version"],
        after_version=document["after_version"],
        revision=document["revision"],
        comment=document["comment"],
        request_id=document["request_id"],
        # Until version 5 of the schema an entry held copies.
        before=document.get("before", ""),
        after=document.get("after", ""),
    )


async def _with_content(connection: Connection, entries: Sequence[AuditEntry]) -> list[AuditEntry]:
    wanted: dict[str, set[str]] = {}
    for entry in entries:
        if entry.kind in KINDS:
            ids = wanted.setdefault(collection_of(KINDS[entry.kind]), set())
            ids |= {_version_id(entry, version) for version in _versions(entry)}
    texts: dict[str, str] = {}
    for collection, ids in wanted.items():
        cursor = connection[collection].find({"_id": {"$in": list(ids)}})
        found = await cursor.to_list(None)
        documents = await documents_of(connection, found)
        for one, document in zip(found, documents, strict=True):
            texts[one["_id"]] = _text(one["kind"], document)
    return [
        replace(
            entry,
            before=entry.before or texts.get(_version_id(entry, entry.before_version), ""),
            after=entry.after or texts.get(_version_id(entry, entry.after_version), ""),
        )
        for entry in entries
    ]


def _versions(entry: AuditEntry) -> list[int]:
    """Those that the entry does not hold itself."""
    if entry.before or entry.after:
        return []
    return [version for version in (entry.before_version, entry.after_version) if version]


def _version_id(entry: AuditEntry, version: int) -> str:
    kind = KINDS.get(entry.kind)
    return history_id(kind, entry.resource_id, version) if kind else ""


def _text(kind_name: str, document: Document | None) -> str:
    if document is None or document.get("deleted"):
        return ""
    kind = KINDS[kind_name]
    hidden = _HIDDEN | codec_of(kind).hidden | {scope_field(kind)}
    shown = {name: value for name, value in document.items() if name not in hidden}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"), default=_iso)


def _iso(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
