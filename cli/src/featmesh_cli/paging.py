"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import click
import grpc

from featmesh.management.v1 import mutation_pb2
from featmesh_cli.errors import CommandError

PAGE_SIZE = 500
MAX_PAGES = 2_000
"""A million items; a list that does not end is not followed further."""

_SHRINK = 8
"""From 500 to 1 in three steps."""

T = TypeVar("T")


Fetch = Callable[[mutation_pb2.PageRequest], tuple[Sequence[T], str]]


def all_pages(fetch: Fetch[T], *, limit: int = 0) -> Iterator[T]:
    """Yields the items of every page.

    A page that is too large to be received is asked for again with fewer items. Where
    ``limit`` leaves out some, standard error says so.

    Args:
        fetch: Gets a page: its items and the next page's token, empty on the last.
        limit: No more than this many items; 0 for all.

    Raises:
        CommandError: The list has more than `MAX_PAGES` pages.
    """
    largest, token, given = PAGE_SIZE, "", 0
    for _ in range(MAX_PAGES):
        size = min(largest, limit - given) if limit else largest
        largest, (items, token) = _fetch_at_most(fetch, size, token)
        yield from items
        given += len(items)
        if not token:
            return
        if limit and given >= limit:
            click.echo(f"The first {given}; there may be more.", err=True)
            return
    raise CommandError(f"the list does not end after {MAX_PAGES:,} pages ({given:,} items)")


def _fetch_at_most(fetch: Fetch[T], size: int, token: str) -> tuple[int, tuple[Sequence[T], str]]:
    """A page, and how many items it was asked for in the end."""
    while True:
        try:
            return size, fetch(mutation_pb2.PageRequest(size=size, token=token))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED or size == 1:
                raise
        size = max(size // _SHRINK, 1)
