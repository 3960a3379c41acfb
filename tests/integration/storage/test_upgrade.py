"""What schema version 4 wrote is whole after the migration, and everybody can go on with it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.storage.model.actor import SYSTEM, Actor, ActorKind
from services.storage.model.changes import Change, ItemChange, WriteOptions
from services.storage.model.kinds import (
    ACCESS_TOKEN,
    ENVIRONMENT,
    FLAG,
    ORGANIZATION,
    SDK_KEY,
    SEGMENT,
)
from services.storage.model.queries import AuditQuery, Query
from services.storage.model.resource import INSTALLATION_ID, AnyStored, Scope
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, Document, utc_now
from services.storage.mongodb.migrations import migrate
from tests.integration.storage.records import change, create, flag, update
from tests.support.resources import make_environment, only
from tests.support.resources import update as updated

THEN = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "organizations/acme/projects/shop/environments/production"
BY = {"created_at": THEN, "created_by": "ada", "updated_at": THEN, "updated_by": "bob"}
ADA = Actor(ActorKind.TOKEN, "", "ada")


def old_flag(version: int, revision: int, *, enabled: bool) -> Document:
    return {
        "_id": "e/f",
        "environment": "e",
        "deleted": False,
        "key": "f",
        "name": "F",
        "description": "",
        "tags": ["x"],
        **BY,
        "value_type": "boolean",
        "variations": [{"id": "on", "name": "On", "value": True}],
        "off_variation_id": "on",
        "enabled": enabled,
        "fallthrough": {"shares": [{"variation_id": "on", "weight": 100_000}]},
        "version": version,
        "revision": revision,
    }


def old_entry(document: Document, kind: str, item: str) -> Document:
    version = document["version"]
    return {
        "_id": f"e/{item}/{kind}/{version}",
        "environment": "e",
        "kind": kind,
        "item": item,
        "version": version,
        "revision": document["revision"],
        "floor": 0,
        "position": 0,
        "document": document,
    }


GONE: Document = {
    "_id": "e/s-1",
    "environment": "e",
    "id": "s-1",
    "key": "vip",
    "deleted": True,
    "version": 2,
    "revision": 103,
}
SEGMENT_BEFORE: Document = {
    "_id": "e/s-1",
    "environment": "e",
    "id": "s-1",
    "key": "vip",
    "deleted": False,
    "name": "VIP",
    "included": ["ada"],
    **BY,
    "version": 1,
    "revision": 102,
}
TOKEN = {"_id": "t", "name": "ci", "hash": "t-hash", "created_at": THEN, "revoked_at": None}
KEY = {
    "_id": "k",
    "environment": "e",
    "kind": "SERVER",
    "name": "Back",
    "hash": "k-hash",
    "last_characters": "wxyz",
    "created_at": THEN,
    "revoked_at": None,
}
ENTRY = {
    "_id": "a",
    "environment": "e",
    "time": THEN,
    "actor": "ada",
    "resource": "flag/f",
    "operation": "update",
    "comment": "why",
    "revision": 101,
    "position": 0,
    "before": '{"enabled":false}',
    "after": '{"enabled":true}',
}
OLD: dict[str, list[Document]] = {
    "schema": [{"_id": "schema", "version": 4}],
    "organizations": [{"_id": "o", "key": "acme", "name": "Acme"}],
    "projects": [{"_id": "p", "organization": "o", "key": "shop", "name": "Shop"}],
    "environments": [
        {
            "_id": "e",
            "project": "p",
            "key": "production",
            "name": "Production",
            "revision": 103,
            "floor": 0,
            "event_retention_days": 9,
        }
    ],
    "sdk_keys": [KEY],
    "access_tokens": [TOKEN],
    "flags": [old_flag(2, 101, enabled=True)],
    "segments": [GONE],
    "item_history": [
        old_entry(old_flag(1, 100, enabled=False), "flag", "f"),
        old_entry(old_flag(2, 101, enabled=True), "flag", "f"),
        old_entry(SEGMENT_BEFORE, "segment", "s-1"),
        old_entry(GONE, "segment", "s-1"),
    ],
    "audit_log": [ENTRY],
    "requests": [
        {"_id": "installation/r", "digest": "", "outcome": {"_id": "o"}, "created_at": THEN}
    ],
}


@pytest.fixture
async def upgraded(mongodb_uri: str, database_name: str, store: MongoStore) -> MongoStore:
    connection = Connection(mongodb_uri, database_name, utc_now)
    await connection["schema"].delete_many({})
    for collection, documents in OLD.items():
        await connection[collection].insert_many(documents)
    for _ in range(2):
        await migrate(connection)
    await connection.close()
    return store


async def test_organizations_projects_and_environments_have_their_envelope(
    upgraded: MongoStore,
) -> None:
    resources = upgraded.resources
    organization = await resources.get(ORGANIZATION, INSTALLATION_ID, "acme")
    assert (organization.content.display_name, organization.meta.version) == ("Acme", 1)
    assert organization.meta.created_by == SYSTEM
    environment = await resources.get(ENVIRONMENT, "p", "production")
    assert (environment.content.retention_days, environment.meta.revision) == (9, 103)
    assert (await resources.resolve("acme", "shop", "production")).path == NAME
    changed = await updated(upgraded, environment, display_name="Live")
    assert (changed.meta.version, changed.meta.revision) == (2, 103)
    staging = await make_environment(upgraded, "p", "staging")
    assert staging.organization_id == "o"


async def test_keys_and_tokens_open_what_they_opened(upgraded: MongoStore) -> None:
    key = await upgraded.credentials.find_sdk_key("k-hash")
    assert key is not None
    assert (key.content.display_name, key.meta.scope_id, key.meta.version) == ("Back", "e", 1)
    assert (await upgraded.resources.list(SDK_KEY, "e", Query(10))).items == (key,)
    await updated(upgraded, key, revoked_at=THEN)
    token = await upgraded.credentials.find_access_token("t-hash")
    assert token is not None
    assert [(one.role, one.level) for one in token.content.grants] == [
        ("OWNER", Scope.INSTALLATION)
    ]
    listed = await upgraded.resources.list(ACCESS_TOKEN, INSTALLATION_ID, Query(10))
    assert listed.items == (token,)


async def test_flags_and_segments_go_on_from_their_old_versions(upgraded: MongoStore) -> None:
    resources = upgraded.resources
    stored = await resources.get(FLAG, "e", "f")
    assert stored.content.display_name == "F"
    assert stored.meta.created_by == ADA
    changed = only(await resources.commit(change("e", update(stored, enabled=False))))
    history = (await resources.history(FLAG, "e", "f", 10, "")).items
    assert [each.version for each in history] == [3, 2, 1]
    assert [_shown(each.stored) for each in history] == [False, True, False]
    assert (history[0].stored, history[1].stored) == (changed, stored)
    vip = (await resources.history(SEGMENT, "e", "vip", 10, "")).items
    assert [each.version for each in vip] == [2, 1]
    assert vip[1].stored is not None
    assert vip[1].stored.content.display_name == "VIP"
    made = change("e", *create(flag("new")), options=WriteOptions("r-1"))
    assert (await resources.commit(made)).revision > 103


def _shown(stored: AnyStored | None) -> bool | None:
    return stored.content.definition.enabled if stored else None


async def test_old_audit_entries_are_listed_with_the_copies_that_they_held(
    upgraded: MongoStore,
) -> None:
    [entry] = (await upgraded.resources.list_audit_entries(AuditQuery(10, scope_id="o"))).items
    assert (entry.actor, entry.operation, entry.comment) == (ADA, "update", "why")
    assert (entry.path, entry.kind, entry.revision) == (f"{NAME}/flags/f", "flag", 101)
    assert (entry.before, entry.after) == ('{"enabled":false}', '{"enabled":true}')
    environment = await upgraded.resources.get(ENVIRONMENT, "p", "production")
    await upgraded.resources.commit(_deletion(environment))
    while await upgraded.maintenance.remove_deleted(100):
        pass
    left = (await upgraded.resources.list_audit_entries(AuditQuery(10, scope_id="o"))).items
    assert [each.operation for each in left] == ["delete"]


def _deletion(stored: AnyStored) -> Change:
    return Change(stored.meta.scope_id, ADA, (ItemChange(stored.kind, "delete", stored, None),))
