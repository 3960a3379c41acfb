"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from featmesh.management.v1 import mutation_pb2

PAGE_SIZE = 500
MAX_PAGES = 2_000
"""A million items; a server that never ends its list is not followed further."""

T = TypeVar("T")


def all_pages(
    fetch: Callable[[mutation_pb2.PageRequest], tuple[Sequence[T], str]], *, limit: int = 0
) -> Iterator[T]:
    """Yields the items of every page.

    Args:
        fetch: Gets a page: its items and the next page's token, empty on the last.
        limit: No more than this many items; 0 for all.
    """
    token, given = "", 0
    for _ in range(MAX_PAGES):
        size = min(PAGE_SIZE, limit - given) if limit else PAGE_SIZE
        items, token = fetch(mutation_pb2.PageRequest(size=size, token=token))
        yield from items
        given += len(items)
        if not token or (limit and given >= limit):
            return
