"""Pages by key: a token names the last row of the page before, so rows may come and go."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from services.runtime.errors import InvalidArgument
from services.storage.model.pages import Page
from services.storage.mongodb.connection import Collection, Document

T = TypeVar("T")
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Order:
    """Fields that order a list, most significant first; together they are unique.

    ``types`` are those of the fields: str, int or datetime. ``index``, if set, names the
    fields of the index that must be used.
    """

    fields: tuple[str, ...]
    types: tuple[type, ...]
    descending: bool = False
    index: tuple[str, ...] = ()

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
        values = self._decode(token)
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
        text = json.dumps(values, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _decode(self, token: str) -> list[Any]:
        try:
            padded = token + "=" * (-len(token) % 4)
            values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if not isinstance(values, list):
                raise TypeError
            return [_from_json(value, kind) for value, kind in zip(values, self.types, strict=True)]
        except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
            raise InvalidArgument.of("page.token", "not a token of this list") from None


BY_KEY = Order(("key",), (str,))


async def read_page(
    collection: Collection,
    query: Document,
    *,
    order: Order,
    size: int,
    token: str,
    decode: Callable[[Document], T],
) -> Page[T]:
    """The page of ``query`` that follows ``token``."""
    ranges = [{"$and": [query, following]} for following in order.after(token)]
    return await read_ranges(collection, ranges, order=order, size=size, decode=decode)


async def read_ranges(
    collection: Collection,
    ranges: Sequence[Document],
    *,
    order: Order,
    size: int,
    decode: Callable[[Document], T],
) -> Page[T]:
    """The first page of filters that follow each other in ``order``."""
    documents: list[Document] = []
    for query in ranges:
        missing = size + 1 - len(documents)
        if missing:
            cursor = collection.find(query).sort(order.sort()).limit(missing)
            if order.index:
                cursor = cursor.hint(order.hint())
            documents += await cursor.to_list(missing)
    shown = documents[:size]
    more = len(documents) > size
    return Page(tuple(map(decode, shown)), order.token(shown[-1]) if more else "")


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
