"""Since version 5 of the schema all resources have one envelope, and audit entries one form.

Every step finds what it has not done yet, so each may run again, and in several processes.
"""

from __future__ import annotations

from typing import Any, Final

from services.storage.model.actor import SYSTEM
from services.storage.model.credentials import AccessTokenKind
from services.storage.model.resource import INSTALLATION_ID, Scope
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.resources.codecs import actor_document

_MISSING: Final = {"$exists": False}


async def upgrade_resources(connection: Connection) -> None:
    """From version 4."""
    await _scopes(connection)
    await _credentials(connection)
    await _items(connection)
    await _audit(connection)
    # Outcomes of that form cannot be answered with; a repeated request is done again.
    await connection["requests"].delete_many({"outcome.revision": _MISSING})


async def _scopes(connection: Connection) -> None:
    path = {"$concat": ["organizations/", "$key"]}
    await _wrap(connection, "organizations", {}, {"path": path})
    async for one in connection["organizations"].find():
        path = {"$concat": [f"{one['path']}/projects/", "$key"]}
        await _wrap(connection, "projects", {"organization": one["_id"]}, {"path": path})
    async for one in connection["projects"].find():
        path = {"$concat": [f"{one['path']}/environments/", "$key"]}
        fields = {"path": path, "organization": one["organization"]}
        await _wrap(connection, "environments", {"project": one["_id"]}, fields)


async def _credentials(connection: Connection) -> None:
    await _wrap(connection, "sdk_keys", {}, {})
    # Tokens could do everything, and go on to.
    owner = {"role": "OWNER", "level": Scope.INSTALLATION.value, "scope": INSTALLATION_ID}
    fields = {
        "organization": INSTALLATION_ID,
        "kind": AccessTokenKind.SERVICE.value,
        "last_characters": "",
        "owner": "",
        "grants": [owner],
        "expires_at": None,
    }
    await _wrap(connection, "access_tokens", {}, fields)


async def _wrap(connection: Connection, collection: str, query: Document, fields: Any) -> None:
    """Gives documents their envelope; nobody knows who made them, or when if they do not say."""
    made = {"$ifNull": ["$created_at", connection.now()]}
    envelope = {
        "version": 1,
        "display_name": "$name",
        "created_at": made,
        "created_by": actor_document(SYSTEM),
        "updated_at": made,
        "updated_by": actor_document(SYSTEM),
    }
    steps: list[Document] = [{"$set": {**envelope, **fields}}, {"$unset": "name"}]
    await connection[collection].update_many({**query, "version": _MISSING}, steps)


async def _items(connection: Connection) -> None:
    renamed = {
        "display_name": "$name",
        "created_by": _actor("$created_by"),
        "updated_by": _actor("$updated_by"),
    }
    for collection in ("flags", "segments"):
        await connection[collection].update_many(
            {"name": {"$exists": True}}, [{"$set": renamed}, {"$unset": "name"}]
        )
    await connection["item_history"].update_many(
        {"key": _MISSING}, [{"$set": {"key": "$document.key"}}]
    )


async def _audit(connection: Connection) -> None:
    """Entries keep the copies that they have; their versions were not noted."""
    kind = {"$arrayElemAt": [{"$split": ["$resource", "/"]}, 0]}
    key = {"$arrayElemAt": [{"$split": ["$resource", "/"]}, 1]}
    async for one in connection["environments"].find():
        fields = {
            "sequence": "$revision",
            "actor": _actor("$actor"),
            "kind": kind,
            "resource_id": {"$concat": [f"{one['_id']}/", key]},
            "path": {"$concat": [f"{one['path']}/", kind, "s/", key]},
            "level": Scope.ENVIRONMENT.value,
            "organization": one["organization"],
            "project": one["project"],
            "before_version": 0,
            "after_version": 0,
            "request_id": "",
        }
        await connection["audit_log"].update_many(
            {"environment": one["_id"], "sequence": _MISSING},
            [{"$set": fields}, {"$unset": "resource"}],
        )


def _actor(name: str) -> Document:
    return {"kind": "TOKEN", "id": "", "display_name": name}
