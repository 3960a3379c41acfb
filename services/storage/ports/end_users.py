"""End users as operators see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.storage.model.end_users import (
    EndUser,
    ImportedUser,
    ImportedUsers,
    LastServed,
    UserFilter,
    UserProperty,
)
from services.storage.model.pages import Page


class EndUserStore(Protocol):
    """End users as operators see them. Each method raises `NotFound` for the environment."""

    async def search_end_users(
        self, environment_id: str, size: int, token: str, *, user_filter: UserFilter
    ) -> Page[EndUser]:
        """By key; by name and key if the filter has a name.

        A page may be short, or empty, and not the last one: a bounded number of users is
        looked at.
        """
        ...

    async def get_end_user(self, environment_id: str, key: str) -> EndUser:
        """Raises `NotFound` for the user too."""
        ...

    async def list_user_properties(
        self, environment_id: str, size: int, token: str
    ) -> Page[UserProperty]:
        """By name."""
        ...

    async def import_end_users(
        self, environment_id: str, users: Sequence[ImportedUser], *, validate_only: bool
    ) -> ImportedUsers:
        """Merges users with different keys; what was seen later stays. Repeating is harmless."""
        ...

    async def find_last_served(
        self, environment_id: str, key: str, flag_keys: Sequence[str]
    ) -> dict[str, LastServed]:
        """By flag, those of these that were, as far back as evaluations are kept."""
        ...
