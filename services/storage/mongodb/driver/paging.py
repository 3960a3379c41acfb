"""Pages by key: a token names the last row of the page before, so rows may come and go."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import bson
from bson.raw_bson import RawBSONDocument

from services.runtime.errors import InvalidArgument
from services.storage.model.pages import Page
from services.storage.mongodb.driver.client import Collection, Document

T = TypeVar("T")

PAGE_BYTES = 3 * 1024 * 1024
"""Of stored documents in a page; a single one may have more. gRPC's clients take 4 MiB."""

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Order:
    """Fields that order a list, most significant first; together they are unique.

    ``types`` are those of the fields: str, int or datetime. ``index``, if set, names the
    fields of the index that must be used. ``list_id``, if set, stands for the list: a token
    of another one is refused.
    """

    fields: tuple[str, ...]
    types: tuple[type, ...]
    descending: bool = False
    index: tuple[str, ...] = ()
    list_id: str = ""

    def sort(self) -> list[tuple[str, int]]:
        """As the driver wants it."""
        return [(field, -1 if self.descending else 1) for field in self.fields]

    def hint(self) -> list[tuple[str, int]]:
        """The index, as the driver wants it."""
        return [(field, 1) for field in self.index]

    def after(self, token: str) -> list[Document]:
        """Filters for what follows ``token``, to be read one after the other.

        Each is one range of an index, which an `$or` of them would not be. Raises
        `InvalidArgument`.
        """
        if not token:
            return [{}]
        return self.beyond(self._decode(token))

    def beyond(self, values: list[Any]) -> list[Document]:
        """As `after`, for what follows these values of the fields."""
        return self._beside(values, "$lt" if self.descending else "$gt")[::-1]

    def up_to(self, document: Document) -> list[Document]:
        """As `after`, in an ascending order, for what does not follow ``document``."""
        *before, last = self._beside([document[field] for field in self.fields], "$lt")
        name = self.fields[-1]
        return [*before, {**last, name: {"$lte": document[name]}}]

    def _beside(self, values: list[Any], comparison: str) -> list[Document]:
        return [
            {**dict(zip(self.fields, values[:position], strict=False)), field: {comparison: value}}
            for position, (field, value) in enumerate(zip(self.fields, values, strict=True))
        ]

    def token(self, document: Document) -> str:
        """The token that continues after ``document``."""
        values = [_to_json(document[field]) for field in self.fields]
        if self.list_id:
            values.append(self.list_id)
        text = json.dumps(values, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _decode(self, token: str) -> list[Any]:
        try:
            padded = token + "=" * (-len(token) % 4)
            values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if not isinstance(values, list):
                raise TypeError
            if self.list_id and values.pop() != self.list_id:
                raise ValueError
            return [_from_json(value, kind) for value, kind in zip(values, self.types, strict=True)]
        except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error, IndexError):
            raise InvalidArgument.of("page.token", "not a token of this list") from None


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """How documents are read: ``projection`` limits their fields.

    ``weigh`` gives the bytes of what a document stands for, where that is more than itself.
    """

    decode: Callable[[Document], T]
    projection: Document | None = None
    weigh: Callable[[Document], int] | None = None


BY_KEY = Order(("key",), (str,))


async def read_page(
    collection: Collection,
    query: Document,
    *,
    order: Order,
    size: int,
    token: str,
    rows: Rows[T],
) -> Page[T]:
    """The page of ``query`` that follows ``token``; it may end early, at `PAGE_BYTES`."""
    ranges = [{"$and": [query, following]} for following in order.after(token)]
    return await read_ranges(collection, ranges, order=order, size=size, rows=rows)


async def read_ranges(
    collection: Collection,
    ranges: Sequence[Document],
    *,
    order: Order,
    size: int,
    rows: Rows[T],
) -> Page[T]:
    """The first page of filters that follow each other in ``order``."""
    shown: list[Document] = []
    total = 0
    async with aclosing(_found(collection, ranges, order, size + 1, rows.projection)) as found:
        async for document, weight in found:
            total += max(weight, rows.weigh(document)) if rows.weigh else weight
            if len(shown) == size or (shown and total > PAGE_BYTES):
                return Page(tuple(map(rows.decode, shown)), order.token(shown[-1]))
            shown.append(document)
    return Page(tuple(map(rows.decode, shown)), "")


async def _found(
    collection: Collection,
    ranges: Sequence[Document],
    order: Order,
    limit: int,
    projection: Document | None,
) -> AsyncGenerator[tuple[Document, int], None]:
    """Documents and their sizes in bytes, no more than ``limit``."""
    options = collection.codec_options
    undecoded = collection.with_options(options.with_options(document_class=RawBSONDocument))
    for query in ranges:
        cursor = undecoded.find(query, projection).sort(order.sort()).limit(limit)
        if order.index:
            cursor = cursor.hint(order.hint())
        try:
            async for found in cursor:
                limit -= 1
                yield bson.decode(found.raw, options), len(found.raw)
        finally:
            await cursor.close()
        if not limit:
            return


def _to_json(value: Any) -> str | int:
    if isinstance(value, datetime):
        return round((value - _EPOCH).total_seconds() * 1000)
    return value if isinstance(value, str) else int(value)


def _from_json(value: Any, kind: type) -> Any:
    if kind is str:
        if not isinstance(value, str):
            raise TypeError
        return value
    if not isinstance(value, int) or abs(value) >= 2**63:
        raise TypeError
    return _EPOCH + timedelta(milliseconds=value) if kind is datetime else value
