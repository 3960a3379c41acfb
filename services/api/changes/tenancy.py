"""What operators do with organizations, projects, environments and SDK keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

from services.api.changes.edits import Mutation
from services.api.changes.effects import CommitHooks
from services.runtime.secrets import CLIENT_KEY, SERVER_KEY, hash_secret, new_secret
from services.storage.model.credentials import SdkKey, SdkKeyKind
from services.storage.model.tenancy import Environment, EnvironmentSettings, Organization, Project
from services.storage.ports.tenancy import CredentialStore, TenancyStore

M = TypeVar("M", Organization, Project, Environment, SdkKey)

_PREFIXES: Final = {SdkKeyKind.SERVER: SERVER_KEY, SdkKeyKind.CLIENT: CLIENT_KEY}
_SHOWN_CHARACTERS: Final = 4


class TenancyChanges:
    """Creates, deletes and revokes."""

    def __init__(
        self, tenancy: TenancyStore, credentials: CredentialStore, effects: CommitHooks
    ) -> None:
        self._tenancy = tenancy
        self._credentials = credentials
        self._effects = effects

    async def create_organization(self, key: str, name: str, mutation: Mutation) -> Organization:
        """As stored."""
        made = await self._tenancy.create_organization(key, name, mutation.request)
        return _answered(made, mutation)

    async def create_project(
        self, organization_id: str, key: str, name: str, mutation: Mutation
    ) -> Project:
        """As stored."""
        made = await self._tenancy.create_project(organization_id, key, name, mutation.request)
        return _answered(made, mutation)

    async def create_environment(
        self, project_id: str, key: str, name: str, mutation: Mutation
    ) -> Environment:
        """As stored."""
        made = await self._tenancy.create_environment(project_id, key, name, mutation.request)
        return _answered(made, mutation)

    async def update_environment(
        self, environment_id: str, settings: EnvironmentSettings, mutation: Mutation
    ) -> Environment:
        """As stored."""
        return await self._tenancy.update_environment(environment_id, settings, mutation.request)

    async def delete_environment(self, environment_id: str, mutation: Mutation) -> None:
        """For good; what it held is removed in the background."""
        await self._tenancy.delete_environment(environment_id, mutation.request)
        self._effects.environment_deleted()

    async def create_sdk_key(
        self, environment_id: str, kind: SdkKeyKind, name: str, mutation: Mutation
    ) -> tuple[SdkKey, str]:
        """The key and its secret; that is empty unless this call has made the key."""
        secret = new_secret(_PREFIXES[kind])
        made = await self._credentials.create_sdk_key(
            environment_id,
            kind,
            name,
            secret_hash=hash_secret(secret),
            last_characters=secret[-_SHOWN_CHARACTERS:],
            request=mutation.request,
        )
        if mutation.request.validate_only:
            return replace(made, id="", last_characters=""), ""
        return made, secret if made.secret_hash == hash_secret(secret) else ""

    async def revoke_sdk_key(
        self, environment_id: str, sdk_key_id: str, mutation: Mutation
    ) -> SdkKey:
        """As stored, with the time when it was revoked first."""
        revoked = await self._credentials.revoke_sdk_key(
            environment_id, sdk_key_id, mutation.request
        )
        if not mutation.request.validate_only:
            self._effects.key_revoked(environment_id)
        return revoked


def _answered(made: M, mutation: Mutation) -> M:
    """A rehearsal makes nothing that an id could name."""
    return replace(made, id="") if mutation.request.validate_only else made
