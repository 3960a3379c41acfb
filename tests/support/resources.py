"""Resources of all kinds as tests make them, through the port's one way to write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from services.storage.model.actor import Actor, ActorKind
from services.storage.model.changes import Change, Committed, ItemChange
from services.storage.model.credentials import (
    AccessToken,
    AccessTokenKind,
    RoleGrant,
    SdkKey,
    SdkKeyKind,
)
from services.storage.model.kinds import ACCESS_TOKEN, ENVIRONMENT, ORGANIZATION, PROJECT, SDK_KEY
from services.storage.model.queries import Query
from services.storage.model.resource import INSTALLATION_ID, Kind, R, Scope, Stored
from services.storage.model.tenancy import Environment as EnvironmentContent
from services.storage.model.tenancy import Organization, Project
from services.storage.ports.store import ControlStore

ADA: Final = Actor(ActorKind.TOKEN, "ada-1", "ada")
"""Who changes things in tests."""

NOWHERE: Final = "organizations/acme/projects/shop/environments/nowhere"
"""Name of an environment that is never made."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What tests need of an environment that was made."""

    id: str
    key: str
    organization_id: str
    project_id: str
    revision: int
    name: str


async def create(
    store: ControlStore, kind: Kind[R], scope_id: str, content: R, **fields: Any
) -> Stored[R]:
    """One resource of any kind, as stored; ``fields`` are those of the change."""
    item = ItemChange(kind, "create", None, content)
    return only(await store.resources.commit(Change(scope_id, ADA, (item,), **fields)))


async def update(
    store: ControlStore, stored: Stored[R], *, change: Any = None, **fields: Any
) -> Stored[R]:
    """The next version, with fields of its content changed."""
    after = replace(stored.content, **fields)  # type: ignore[type-var]
    item = ItemChange(stored.kind, "update", stored, after)
    done = await store.resources.commit(
        Change(stored.meta.scope_id, ADA, (item,), **(change or {}))
    )
    return only(done)


async def delete(store: ControlStore, stored: Stored[Any]) -> Committed:
    """Deletes what is stored."""
    item = ItemChange(stored.kind, "delete", stored, None)
    return await store.resources.commit(Change(stored.meta.scope_id, ADA, (item,)))


def only(committed: Committed) -> Stored[Any]:
    """The one resource that a change wrote."""
    (stored,) = committed.resources
    assert stored is not None
    return stored


async def make_organization(store: ControlStore, key: str = "acme") -> Stored[Organization]:
    """An organization."""
    return await create(store, ORGANIZATION, INSTALLATION_ID, Organization(key, key.title()))


async def make_project(
    store: ControlStore, organization_id: str, key: str = "shop"
) -> Stored[Project]:
    """A project."""
    return await create(store, PROJECT, organization_id, Project(key, key.title()))


async def make_environment(
    store: ControlStore, project_id: str = "", key: str = "production"
) -> Environment:
    """An environment; without a project in a new one of a new organization."""
    if not project_id:
        organization = await make_organization(store)
        project_id = (await make_project(store, organization.meta.id)).meta.id
    content = EnvironmentContent(key, key.title())
    made = await create(store, ENVIRONMENT, project_id, content)
    ancestry = await store.resources.ancestry(made.meta.id)
    return Environment(
        made.meta.id,
        key,
        ancestry.organization_id,
        project_id,
        made.meta.revision,
        ancestry.path,
    )


async def read_environment(store: ControlStore, environment_id: str) -> Stored[EnvironmentContent]:
    """As stored now."""
    return await store.resources.get_by_id(ENVIRONMENT, environment_id)


async def update_environment(store: ControlStore, environment_id: str, **fields: Any) -> None:
    """Changes settings."""
    await update(store, await read_environment(store, environment_id), **fields)


async def delete_environment(store: ControlStore, environment_id: str) -> None:
    """Deletes an environment."""
    await delete(store, await read_environment(store, environment_id))


async def make_sdk_key(
    store: ControlStore, environment_id: str, secret_hash: str, kind: SdkKeyKind = SdkKeyKind.SERVER
) -> Stored[SdkKey]:
    """An SDK key."""
    return await create(
        store, SDK_KEY, environment_id, SdkKey("backend", kind, secret_hash, "wxyz")
    )


async def list_sdk_keys(store: ControlStore, environment_id: str) -> tuple[Stored[SdkKey], ...]:
    """All of an environment, by creation."""
    return (await store.resources.list(SDK_KEY, environment_id, Query(100))).items


async def revoke_sdk_key(store: ControlStore, environment_id: str, key_id: str) -> Stored[SdkKey]:
    """Revokes it now."""
    key = await store.resources.get(SDK_KEY, environment_id, key_id)
    return await update(store, key, revoked_at=datetime.now(UTC))


async def make_access_token(
    store: ControlStore, name: str, secret_hash: str, *grants: RoleGrant
) -> Stored[AccessToken]:
    """A token of the installation; without ``grants`` one that may do everything."""
    owner = RoleGrant("OWNER", Scope.INSTALLATION, INSTALLATION_ID)
    token = AccessToken(name, AccessTokenKind.SERVICE, secret_hash, grants=grants or (owner,))
    return await create(store, ACCESS_TOKEN, INSTALLATION_ID, token)
