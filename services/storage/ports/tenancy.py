"""Organizations, projects, environments, and what opens them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from services.storage.model.changes import PLAINLY, Request
from services.storage.model.credentials import AccessToken, SdkKey, SdkKeyKind
from services.storage.model.pages import Page
from services.storage.model.tenancy import Environment, EnvironmentSettings, Organization, Project


class TenancyStore(Protocol):
    """Organizations, projects, environments. Their request ids are the installation's."""

    async def create_organization(
        self, key: str, name: str, request: Request = PLAINLY
    ) -> Organization:
        """Raises `AlreadyExists`."""
        ...

    async def list_organizations(self, size: int, token: str) -> Page[Organization]: ...

    async def create_project(
        self, organization_id: str, key: str, name: str, request: Request = PLAINLY
    ) -> Project:
        """Raises `NotFound` for the organization, `AlreadyExists`."""
        ...

    async def list_projects(self, organization_id: str, size: int, token: str) -> Page[Project]: ...

    async def create_environment(
        self, project_id: str, key: str, name: str, request: Request = PLAINLY
    ) -> Environment:
        """Raises `NotFound` for the project, `AlreadyExists`."""
        ...

    async def get_environment(self, environment_id: str) -> Environment: ...

    async def list_environments(
        self, project_id: str, size: int, token: str
    ) -> Page[Environment]: ...

    async def update_environment(
        self, environment_id: str, settings: EnvironmentSettings, request: Request = PLAINLY
    ) -> Environment:
        """As stored afterwards; its revision stays, for SDKs see nothing of it."""
        ...

    async def delete_environment(self, environment_id: str, request: Request = PLAINLY) -> None:
        """Environment and SDK keys at once; `MaintenanceStore` removes the rest."""
        ...


class CredentialStore(Protocol):
    """SDK keys and management tokens, found by the SHA-256 of their secret (hex).

    Request ids are the environment's, the same as those of its items.
    """

    async def create_sdk_key(
        self,
        environment_id: str,
        kind: SdkKeyKind,
        name: str,
        *,
        secret_hash: str,
        last_characters: str,
        request: Request = PLAINLY,
    ) -> SdkKey:
        """Raises `NotFound` for the environment.

        The answer to a repeated request is the first one's key, with its own hash.
        """
        ...

    async def find_sdk_key(self, secret_hash: str) -> SdkKey | None:
        """Revoked keys too; the caller decides."""
        ...

    async def good_sdk_keys(self, sdk_key_ids: Collection[str]) -> frozenset[str]:
        """Those of the ids that are there and not revoked, in one read.

        Raises `StoreUnavailable` when there is no answer within 2 seconds.
        """
        ...

    async def list_sdk_keys(self, environment_id: str, size: int, token: str) -> Page[SdkKey]:
        """In order of creation."""
        ...

    async def revoke_sdk_key(
        self, environment_id: str, sdk_key_id: str, request: Request = PLAINLY
    ) -> SdkKey:
        """Idempotent: the first time of revocation is kept."""
        ...

    async def create_access_token(self, name: str, secret_hash: str) -> AccessToken: ...

    async def create_bootstrap_token(self, name: str, secret_hash: str) -> AccessToken | None:
        """The installation's first token; None when it was already made, by whichever process."""
        ...

    async def find_access_token(self, secret_hash: str) -> AccessToken | None: ...
