"""Who calls, and what they may do where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.access.roles import Role, has_permission, includes
from services.storage.model.actor import Actor
from services.storage.model.resource import Ancestry, Scope


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in a scope and all below it; the installation's id stands above all."""

    role: Role
    level: Scope
    scope_id: str

    def covers(self, place: Ancestry) -> bool:
        """Tells whether ``place`` is the grant's scope or lies below it."""
        if self.level is Scope.INSTALLATION:
            return True
        ids = {
            Scope.ORGANIZATION: place.organization_id,
            Scope.PROJECT: place.project_id,
            Scope.ENVIRONMENT: place.environment_id,
        }
        return ids[self.level] == self.scope_id


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. Rights are decided on stored ancestry, never on what it says."""

    actor: Actor
    grants: tuple[Grant, ...]
    expires_at: datetime | None = None

    def may(self, permission: str, place: Ancestry) -> bool:
        """Tells whether a grant that covers ``place`` has the permission."""
        return any(
            has_permission(grant.role, permission) and grant.covers(place) for grant in self.grants
        )

    def may_grant(self, role: Role, place: Ancestry) -> bool:
        """Tells whether the caller holds what ``role`` at ``place`` would give."""
        return any(includes(grant.role, role) and grant.covers(place) for grant in self.grants)
