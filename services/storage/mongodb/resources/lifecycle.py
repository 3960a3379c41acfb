"""What the creation and the deletion of a scope bring with them."""

from __future__ import annotations

from typing import Final

from services.runtime.errors import FailedPrecondition
from services.storage.model.kinds import ACCESS_TOKEN, ENVIRONMENT, PROJECT
from services.storage.model.resource import Ancestry, AnyKind, Scope
from services.storage.mongodb.driver.client import Connection, Document, milliseconds
from services.storage.mongodb.driver.transactions import Session
from services.storage.mongodb.resources.codecs import scope_field
from services.storage.mongodb.resources.epochs import new_epoch
from services.storage.mongodb.resources.outcomes import Target
from services.storage.mongodb.resources.removals import begin_removal
from services.storage.mongodb.resources.scopes import ancestors, child_path

_CHILDREN: Final[dict[Scope, AnyKind]] = {Scope.ORGANIZATION: PROJECT, Scope.PROJECT: ENVIRONMENT}
"""What must be gone before a scope can be deleted."""


def after_creation(
    connection: Connection, kind: AnyKind, document: Document, parent: Ancestry
) -> None:
    """Adds what others need of a scope: where it stands, and an environment's revision."""
    document |= {**ancestors(parent), "path": child_path(parent, kind, document["key"])}
    if kind.opens is Scope.ENVIRONMENT:
        revision = milliseconds(connection)
        document |= {"revision": revision, "first_revision": revision, "floor": 0}
        document |= {"epoch": new_epoch()}


async def before_deletion(connection: Connection, target: Target, session: Session) -> None:
    """Raises `FailedPrecondition` for a scope that holds others; takes its credentials away."""
    level = target.kind.opens
    child = _CHILDREN.get(level) if level else None
    if child is not None:
        query = {scope_field(child): target.id}
        if await connection[child.collection].find_one(query, {"_id": 1}, session=session):
            raise FailedPrecondition(f"{target.label} still holds a {child.label}")
    if level is Scope.ORGANIZATION:
        tokens = connection[ACCESS_TOKEN.collection]
        await tokens.delete_many({scope_field(ACCESS_TOKEN): target.id}, session=session)
    if level is Scope.ENVIRONMENT:
        await begin_removal(connection, target.id, session)
