"""Lists of resources: filters, orders, pages and totals as MongoDB's queries."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from services.runtime.errors import InvalidArgument
from services.storage.model.pages import TOTAL_LIMIT, Page
from services.storage.model.queries import (
    And,
    Contains,
    Equals,
    HasTag,
    Not,
    Or,
    OrderBy,
    Predicate,
    Query,
    StartsWith,
)
from services.storage.model.resource import AnyKind, Kind, R, Stored
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.paging import Order, Rows, read_page
from services.storage.mongodb.resources.codecs import (
    COUNTS,
    codec_of,
    scope_field,
    scope_filter,
    stored_of,
)
from services.storage.mongodb.resources.scopes import level_of, require_scope

PREDICATES: Final = 100
"""Most predicates of one filter, those within others included."""

_ENVELOPE: Final = (
    "deleted",
    "version",
    "revision",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
)


async def list_resources(
    connection: Connection, kind: Kind[R], scope_id: str, query: Query
) -> Page[Stored[R]]:
    """As `Resources.list`."""
    matching = _matching(kind, scope_id, query)
    collection = connection[kind.collection]
    page, total, _ = await asyncio.gather(
        read_page(
            collection,
            matching,
            order=_order(kind, scope_id, query),
            size=query.size,
            token=query.token,
            rows=Rows(
                lambda document: stored_of(kind, document),
                projection=_basic(kind) if query.is_basic else None,
            ),
        ),
        collection.count_documents(matching, limit=TOTAL_LIMIT),
        require_scope(connection, level_of(kind, scope_id), scope_id),
    )
    return Page(page.items, page.next_token, total)


def _matching(kind: AnyKind, scope_id: str, query: Query) -> Document:
    matching = scope_filter(kind, scope_id)
    if kind.archivable and not query.include_archived:
        matching["archived"] = False
    if query.where is not None:
        matching["$and"] = [_Filter(kind).translated(query.where)]
    return matching


def _order(kind: AnyKind, scope_id: str, query: Query) -> Order:
    fields, types = _FIELDS[query.order_by]
    if query.order_by is OrderBy.KEY and kind.key_of is None:
        fields, types = _FIELDS[OrderBy.CREATED_AT]
    asked = (kind.name, scope_id, query.where, query.order_by, query.include_archived)
    list_id = sha256(repr((*asked, query.descending)).encode()).hexdigest()[:12]
    return Order(fields, types, descending=query.descending, list_id=list_id)


_FIELDS: Final[dict[OrderBy, tuple[tuple[str, ...], tuple[type, ...]]]] = {
    OrderBy.KEY: (("key",), (str,)),
    OrderBy.DISPLAY_NAME: (("display_name", "_id"), (str, str)),
    OrderBy.CREATED_AT: (("created_at", "_id"), (datetime, str)),
    OrderBy.UPDATED_AT: (("updated_at", "_id"), (datetime, str)),
}


class _Filter:
    """Translates one filter; raises `InvalidArgument` for what the kind does not have."""

    def __init__(self, kind: AnyKind) -> None:
        self._kind = kind
        self._left = PREDICATES

    def translated(self, where: Predicate) -> Document:
        """The predicate as a query."""
        self._left -= 1
        if self._left < 0:
            raise _refused(f"has more than {PREDICATES} conditions")
        match where:
            case Not(part):
                return {"$nor": [self.translated(part)]}
            case And(parts):
                return {"$and": [*map(self.translated, parts), {}]}
            case Or(parts):
                return {"$or": [*map(self.translated, parts), {"_id": {"$in": []}}]}
            case _:
                return self._leaf(where)

    def _leaf(self, where: Equals | StartsWith | Contains | HasTag) -> Document:
        match where:
            case Equals(field, value):
                return {field: {"$eq": self._checked(field, value)}}
            case HasTag(tag):
                return {"tags": {"$eq": self._checked("tags", tag)}}
            case StartsWith(field, text):
                pattern = f"^{re.escape(self._checked(field, text))}"
            case Contains(field, text):
                pattern = re.escape(self._checked(field, text))
        return {field: {"$regex": pattern, "$options": "i"}}

    def _checked(self, field: str, value: Any) -> Any:
        wanted = self._kind.filters.get(field)
        if wanted is None:
            names = ", ".join(sorted(self._kind.filters))
            raise _refused(f"names {field!r}; a {self._kind.label} can be filtered by {names}")
        if type(value) is not wanted:
            said = {str: "a text", bool: "true or false"}[wanted]
            raise _refused(f"compares {field!r} with {value!r}; it is {said}")
        if isinstance(value, str) and "\0" in value:
            raise _refused(f"compares {field!r} with a text that has a zero byte")
        return value


def _refused(text: str) -> InvalidArgument:
    return InvalidArgument.of("filter", text)


def _basic(kind: AnyKind) -> Document | None:
    """What a basic list reads: all but long lists, and how long these are."""
    codec = codec_of(kind)
    if not codec.counts:
        return None
    kept = [*_ENVELOPE, *codec.basic, scope_field(kind)]
    return {**dict.fromkeys(kept, 1), COUNTS: dict(codec.counts)}
