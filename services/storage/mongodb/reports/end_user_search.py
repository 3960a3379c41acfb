"""End users as operators see them: found, shown, and brought in from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from featmesh.engine.model import Attribute
from services.runtime.errors import NotFound
from services.storage.model.end_users import (
    EndUser,
    ImportedUser,
    ImportedUsers,
    LastServed,
    UserFilter,
    UserProperty,
)
from services.storage.model.pages import Page
from services.storage.mongodb.driver.client import Document, Part, require
from services.storage.mongodb.driver.errors import translated
from services.storage.mongodb.driver.paging import BY_KEY, Order, Rows, read_page, read_ranges
from services.storage.mongodb.events.end_users import (
    end_user_of,
    folded,
    import_merge,
    property_merges,
    property_of,
    says_nothing_new,
    stored_attribute,
    user_id,
)
from services.storage.mongodb.reports.last_served import find_last_served

LOOKED_AT: Final = 10_000
"""Users that one page looks at, where no index answers the whole filter."""

_BY_KEY: Final = replace(BY_KEY, index=("environment", "key"))
_BY_ATTRIBUTE: Final = replace(
    BY_KEY, index=("environment", "attributes.name", "attributes.value", "key")
)
_BY_NAME: Final = Order(
    ("folded_name", "key"), (str, str), index=("environment", "folded_name", "key")
)
_BY_PROPERTY: Final = Order(("name",), (str,))
_LAST_CHARACTER: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an index answers, in which order, and what is left to be looked at."""

    carried: Document
    rest: list[Document]
    order: Order


class MongoEndUsers(Part):
    """`EndUserStore` on MongoDB."""

    @translated
    async def search_end_users(
        self, environment_id: str, size: int, token: str, *, user_filter: UserFilter
    ) -> Page[EndUser]:
        await require(self._connection, "environments", environment_id)
        plan = _plan(environment_id, user_filter)
        following = [{"$and": [plan.carried, after]} for after in plan.order.after(token)]
        end = await self._end(plan.order, following) if plan.rest else None
        bounds = plan.order.up_to(end) if end else [{}]
        page = await read_ranges(
            self._connection["end_users"],
            [{"$and": [each, bound, *plan.rest]} for each in following for bound in bounds],
            order=plan.order,
            size=size,
            rows=Rows(end_user_of),
        )
        if page.next_token or end is None:
            return page
        return Page(page.items, plan.order.token(end))

    @translated
    async def get_end_user(self, environment_id: str, key: str) -> EndUser:
        await require(self._connection, "environments", environment_id)
        query = {"_id": user_id(environment_id, key)}
        document = await self._connection["end_users"].find_one(query)
        if document is None:
            raise NotFound(f"end user {key!r} does not exist")
        return end_user_of(document)

    @translated
    async def list_user_properties(
        self, environment_id: str, size: int, token: str
    ) -> Page[UserProperty]:
        await require(self._connection, "environments", environment_id)
        return await read_page(
            self._connection["user_properties"],
            {"environment": environment_id},
            order=_BY_PROPERTY,
            size=size,
            token=token,
            rows=Rows(property_of),
        )

    @translated
    async def import_end_users(
        self, environment_id: str, users: Sequence[ImportedUser], *, validate_only: bool
    ) -> ImportedUsers:
        await require(self._connection, "environments", environment_id)
        now = self._connection.now()
        ids = [user_id(environment_id, user.context.key) for user in users]
        cursor = self._connection["end_users"].find({"_id": {"$in": ids}})
        known = {document["_id"]: document async for document in cursor}
        told = [
            user
            for one, user in zip(ids, users, strict=True)
            if one not in known or not says_nothing_new(known[one], user, now)
        ]
        created, unchanged = len(users) - len(known), len(users) - len(told)
        if told and not validate_only:
            # Before the users: a repeat tells nothing new of those that are written.
            await self._learn(environment_id, told)
            await self._connection["end_users"].bulk_write(
                [import_merge(environment_id, user, now) for user in told], ordered=False
            )
        return ImportedUsers(created, len(told) - created, unchanged)

    @translated
    async def find_last_served(
        self, environment_id: str, key: str, flag_keys: Sequence[str]
    ) -> dict[str, LastServed]:
        return await find_last_served(self._connection, environment_id, key, flag_keys)

    async def _learn(self, environment_id: str, users: Sequence[ImportedUser]) -> None:
        learned = property_merges(environment_id, [user.context for user in users])
        if learned:
            await self._connection["user_properties"].bulk_write(learned, ordered=False)

    async def _end(self, order: Order, ranges: Sequence[Document]) -> Document | None:
        """The last user to look at, None if there are fewer."""
        users, left = self._connection["end_users"], LOOKED_AT
        for query in ranges:
            cursor = users.find(query, dict.fromkeys(order.fields, 1)).sort(order.sort())
            found = await cursor.hint(order.hint()).skip(left - 1).limit(1).to_list(1)
            if found:
                return found[0]
            left -= await users.count_documents(query, hint=order.hint())
        return None


def _plan(environment_id: str, wanted: UserFilter) -> _Plan:
    carried: Document = {"environment": environment_id}
    keys = [{"key": _starts_with(wanted.key_prefix)}] if wanted.key_prefix else []
    attributes = [_has(name, value) for name, value in wanted.attributes]
    if wanted.name_prefix:
        named = {"folded_name": _starts_with(folded(wanted.name_prefix))}
        return _Plan({**carried, **named}, [*keys, *attributes], _BY_NAME)
    for key in keys:
        carried.update(key)
    if attributes:
        return _Plan({**carried, **attributes[0]}, attributes[1:], _BY_ATTRIBUTE)
    return _Plan(carried, [], _BY_KEY)


def _starts_with(prefix: str) -> dict[str, Any]:
    return {"$gte": prefix, "$lt": prefix + _LAST_CHARACTER}


def _has(name: str, value: Attribute) -> Document:
    return {"attributes": {"$elemMatch": {"name": name, "value": stored_attribute(value)}}}
