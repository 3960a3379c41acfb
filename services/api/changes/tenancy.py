"""What operators do with organizations, projects, environments and SDK keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from services.api.changes.commit import Changes, Plan
from services.api.changes.edits import Mutation, Planned
from services.api.changes.effects import CommitHooks
from services.runtime.secrets import CLIENT_KEY, SERVER_KEY, hash_secret, new_secret
from services.storage.model.changes import ItemChange
from services.storage.model.credentials import SdkKey, SdkKeyKind
from services.storage.model.kinds import ENVIRONMENT, ORGANIZATION, PROJECT, SDK_KEY
from services.storage.model.resource import INSTALLATION_ID, Kind, R, Stored
from services.storage.model.tenancy import Environment, Organization, Project
from services.storage.ports.resources import Resources

_PREFIXES: Final = {SdkKeyKind.SERVER: SERVER_KEY, SdkKeyKind.CLIENT: CLIENT_KEY}
_SHOWN_CHARACTERS: Final = 4


class TenancyChanges:
    """Creates, deletes and revokes."""

    def __init__(self, resources: Resources, changes: Changes, effects: CommitHooks) -> None:
        self._resources = resources
        self._changes = changes
        self._effects = effects

    async def create_organization(
        self, key: str, name: str, mutation: Mutation
    ) -> Stored[Organization]:
        """As stored."""
        made = Organization(key, name)
        return await self._create(ORGANIZATION, INSTALLATION_ID, made, mutation)

    async def create_project(
        self, organization_id: str, key: str, name: str, mutation: Mutation
    ) -> Stored[Project]:
        """As stored."""
        return await self._create(PROJECT, organization_id, Project(key, name), mutation)

    async def create_environment(
        self, project_id: str, key: str, name: str, mutation: Mutation
    ) -> Stored[Environment]:
        """As stored."""
        return await self._create(ENVIRONMENT, project_id, Environment(key, name), mutation)

    async def update_environment(
        self,
        environment_id: str,
        mutation: Mutation,
        *,
        name: str | None,
        retention_days: int | None,
    ) -> Stored[Environment]:
        """As stored."""
        wanted = {"display_name": name, "retention_days": retention_days}
        fields = {field: value for field, value in wanted.items() if value is not None}

        async def plan() -> Sequence[Planned]:
            current = await self._resources.get_by_id(ENVIRONMENT, environment_id)
            after = replace(current.content, **fields)  # type: ignore[arg-type]
            if after == current.content:
                return [current]
            return [ItemChange(ENVIRONMENT, "update", current, after)]

        project_id = (await self._resources.ancestry(environment_id)).project_id
        return await self._only(ENVIRONMENT, project_id, plan, mutation)

    async def delete_environment(self, environment_id: str, mutation: Mutation) -> None:
        """For good; what it held is removed in the background."""

        async def plan() -> Sequence[Planned]:
            current = await self._resources.get_by_id(ENVIRONMENT, environment_id)
            return [ItemChange(ENVIRONMENT, "delete", current, None)]

        project_id = (await self._resources.ancestry(environment_id)).project_id
        await self._changes.commit(project_id, plan, mutation, latest=True)
        self._effects.environment_deleted()

    async def create_sdk_key(
        self, environment_id: str, kind: SdkKeyKind, name: str, mutation: Mutation
    ) -> tuple[Stored[SdkKey], str]:
        """The key and its secret; that is empty unless this call has made the key."""
        secret = new_secret(_PREFIXES[kind])
        key = SdkKey(name, kind, hash_secret(secret), secret[-_SHOWN_CHARACTERS:])
        made = await self._create(SDK_KEY, environment_id, key, mutation)
        if mutation.options.validate_only:
            return replace(made, content=replace(made.content, last_characters="")), ""
        return made, secret if made.content.secret_hash == hash_secret(secret) else ""

    async def revoke_sdk_key(
        self, environment_id: str, sdk_key_id: str, mutation: Mutation
    ) -> Stored[SdkKey]:
        """As stored, with the time when it was revoked first."""

        async def plan() -> Sequence[Planned]:
            current = await self._resources.get(SDK_KEY, environment_id, sdk_key_id)
            if current.content.revoked_at is not None:
                return [current]
            revoked = replace(current.content, revoked_at=datetime.now(UTC))
            return [ItemChange(SDK_KEY, "revoke", current, revoked)]

        done = await self._only(SDK_KEY, environment_id, plan, mutation)
        if not mutation.options.validate_only:
            self._effects.key_revoked(environment_id)
        return done

    async def _create(
        self, kind: Kind[R], scope_id: str, content: R, mutation: Mutation
    ) -> Stored[R]:
        async def plan() -> Sequence[Planned]:
            return [ItemChange(kind, "create", None, content)]

        made = await self._only(kind, scope_id, plan, mutation)
        if mutation.options.validate_only:  # which makes nothing that an id could name
            return replace(made, meta=replace(made.meta, id=""))
        return made

    async def _only(
        self, kind: Kind[R], scope_id: str, plan: Plan, mutation: Mutation
    ) -> Stored[R]:
        committed = await self._changes.commit(scope_id, plan, mutation, latest=True)
        (stored,) = committed.resources or committed.unchanged
        if stored is None or stored.kind is not kind:
            raise TypeError(f"a change of {kind.name} was answered with something else")
        return stored
