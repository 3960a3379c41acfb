"""The six built-in roles, as patterns over permissions. Read-only, versioned with the product."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Final


class Role(StrEnum):
    """What may be done."""

    OWNER = "OWNER"
    ADMIN = "ADMIN"
    EDITOR = "EDITOR"
    OPERATOR = "OPERATOR"
    REVIEWER = "REVIEWER"
    VIEWER = "VIEWER"


_VIEW: Final = frozenset({"*.get", "*.list", "flags.evaluate"})

_OPERATE: Final = frozenset(
    {"flags.toggle", "flags.rollback", "segments.rollback", "releases.pause"}
)

_EDIT: Final = frozenset({"flags.*", "segments.*", "tags.*", "endUsers.*", "experiments.*"})

PATTERNS: Final[Mapping[Role, frozenset[str]]] = {
    Role.OWNER: frozenset({"*"}),
    Role.ADMIN: frozenset({"*"}),
    Role.EDITOR: _VIEW | _OPERATE | _EDIT,
    Role.OPERATOR: _VIEW | _OPERATE,
    Role.REVIEWER: _VIEW | {"changeRequests.review"},
    Role.VIEWER: _VIEW,
}
"""Patterns whose permissions a role has: `*` for any resource or any verb."""

EXCEPTIONS: Final[Mapping[Role, frozenset[str]]] = {
    Role.ADMIN: frozenset({"owners.*", "identityProviders.*"}),
}
"""Patterns that a role does not have, whatever its patterns say."""


@cache
def has_permission(role: Role, permission: str) -> bool:
    """Tells whether a role has a permission such as `flags.update`."""
    if _matches(EXCEPTIONS.get(role, frozenset()), permission):
        return False
    return _matches(PATTERNS[role], permission)


def includes(role: Role, other: Role) -> bool:
    """Tells whether who holds ``role`` may grant ``other``: nobody grants what they lack."""
    if other is Role.OWNER:
        return role is Role.OWNER
    return has_permission(role, "tokens.create") and role in {Role.OWNER, Role.ADMIN}


def _matches(patterns: frozenset[str], permission: str) -> bool:
    resource, _, verb = permission.partition(".")
    return not patterns.isdisjoint({"*", permission, f"{resource}.*", f"*.{verb}"})
