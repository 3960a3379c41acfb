"""Organizations, projects and environments as the scopes of other resources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.runtime.errors import NotFound
from services.storage.model.kinds import ENVIRONMENT, ORGANIZATION, PROJECT
from services.storage.model.resource import INSTALLATION_ID, Ancestry, AnyKind, Scope
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.transactions import Session
from services.storage.mongodb.resources.codecs import scope_field

SCOPES: Final[dict[Scope, AnyKind]] = {
    Scope.ORGANIZATION: ORGANIZATION,
    Scope.PROJECT: PROJECT,
    Scope.ENVIRONMENT: ENVIRONMENT,
}
"""The kinds whose resources hold others, from the top."""

INSTALLATION: Final = Ancestry(Scope.INSTALLATION)

ANCESTRY_FIELDS: Final = {"organization": 1, "project": 1, "path": 1}

REMEMBERED: Final = 10_000
"""Scopes whose ancestry is remembered; then all are read anew."""


def level_of(kind: AnyKind, scope_id: str) -> Scope:
    """Where a resource of this kind lives that has this scope."""
    if scope_id == INSTALLATION_ID and Scope.INSTALLATION in kind.scopes:
        return Scope.INSTALLATION
    return kind.scopes[0]


def ancestry_of(level: Scope, document: Document) -> Ancestry:
    """That of a scope's document."""
    own = document["_id"]
    return Ancestry(
        level,
        organization_id=own if level is Scope.ORGANIZATION else document["organization"],
        project_id=own if level is Scope.PROJECT else document.get("project", ""),
        environment_id=own if level is Scope.ENVIRONMENT else "",
        path=document["path"],
    )


def child_path(parent: Ancestry, kind: AnyKind, key: str) -> str:
    """A resource's name by keys."""
    return f"{parent.path}/{kind.plural}/{key}" if parent.path else f"{kind.plural}/{key}"


def ancestors(parent: Ancestry) -> Document:
    """The fields of a document that name what it lies in."""
    named = {
        "organization": parent.organization_id,
        "project": parent.project_id,
        "environment": parent.environment_id,
    }
    return {field: scope_id for field, scope_id in named.items() if scope_id}


async def require_scope(
    connection: Connection, level: Scope, scope_id: str, session: Session | None = None
) -> Document:
    """The scope's document; raises `NotFound`. The installation is always there."""
    if level is Scope.INSTALLATION:
        return {}
    kind = SCOPES[level]
    query = {"_id": scope_id}
    document = await connection[kind.collection].find_one(query, session=session)
    if document is None:
        raise missing(kind, scope_id)
    return document


async def hold(connection: Connection, level: Scope, scope_id: str, session: Session) -> Ancestry:
    """Keeps a scope from being deleted before the transaction ends; raises `NotFound`.

    Reading it would not: only two writes of one document get into each other's way.
    """
    if level is Scope.INSTALLATION:
        return INSTALLATION
    kind = SCOPES[level]
    held = await connection[kind.collection].find_one_and_update(
        {"_id": scope_id}, {"$inc": {"held": 1}}, projection=ANCESTRY_FIELDS, session=session
    )
    if held is None:
        raise missing(kind, scope_id)
    return ancestry_of(level, held)


def missing(kind: AnyKind, name: str) -> NotFound:
    """That there is no such resource."""
    return NotFound(f"{kind.label} {name!r} does not exist")


class Scopes:
    """Finds scopes, and remembers where they stand, which never changes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, Ancestry] = {INSTALLATION_ID: INSTALLATION}

    async def ancestry(self, scope_id: str) -> Ancestry:
        """As `Resources.ancestry`."""
        known = self._known.get(scope_id)
        if known is not None:
            return known
        for level in reversed(SCOPES):
            collection = self._connection[SCOPES[level].collection]
            document = await collection.find_one({"_id": scope_id}, ANCESTRY_FIELDS)
            if document is not None:
                return self._remember(ancestry_of(level, document))
        raise NotFound(f"nothing has the id {scope_id!r}")

    async def resolve(self, names: Sequence[str]) -> Ancestry:
        """As `Resources.resolve`; names of an organization, of its project, and so on."""
        levels = list(SCOPES)[: len(names)]
        if not any(map(is_uuid, names)):
            path = "/".join(
                f"{SCOPES[level].plural}/{name}" for level, name in zip(levels, names, strict=True)
            )
            collection = self._connection[SCOPES[levels[-1]].collection]
            document = await collection.find_one({"path": path}, ANCESTRY_FIELDS)
            if document is not None:
                return self._remember(ancestry_of(levels[-1], document))
        found = INSTALLATION
        for level, name in zip(levels, names, strict=True):
            found = await self._child(found, level, name)
        return found

    async def _child(self, parent: Ancestry, level: Scope, name: str) -> Ancestry:
        kind = SCOPES[level]
        query: Document = {"key": name}
        if is_uuid(name):
            query = {"$or": [{"_id": name}, query]}
        if scope_field(kind):
            query[scope_field(kind)] = parent.scope_id
        document = await self._connection[kind.collection].find_one(query, ANCESTRY_FIELDS)
        if document is None:
            raise missing(kind, name)
        return self._remember(ancestry_of(level, document))

    def _remember(self, ancestry: Ancestry) -> Ancestry:
        if len(self._known) > REMEMBERED:
            self._known = {INSTALLATION_ID: INSTALLATION}
        self._known[ancestry.scope_id] = ancestry
        return ancestry


def is_uuid(name: str) -> bool:
    """Whether a name may be an id."""
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
