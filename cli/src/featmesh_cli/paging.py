"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import click
import grpc
from google.protobuf.message import Message

from featmesh.management.v1.page_pb2 import PageRequest
from featmesh.wire.limits import rule_of
from featmesh_cli.access import Management
from featmesh_cli.errors import CommandError

PAGE_SIZE: Final = int(rule_of(PageRequest, "size").max)
MAX_PAGES: Final = 2_000
"""A million items; a list that does not end is not followed further."""

_SHRINK: Final = 8
"""From 500 to 1 in three steps."""

T = TypeVar("T")

Fetch = Callable[[PageRequest], tuple[Sequence[T], str]]


def limit_option(default: int = 0, *, low: int = 0) -> Callable[[Callable[..., None]], Any]:
    """Makes the option of a list that says how many items to show, 0 for all."""
    told = "How many." if low else "How many; 0: all."
    kind = click.IntRange(low)
    return click.option("--limit", type=kind, default=default, show_default=True, help=told)


def listed(
    access: Management, method: Callable[..., Any], request: Any, *, limit: int = 0
) -> Iterator[Any]:
    """Yields the items of a list method, whose answer has one list and a next page's token.

    Args:
        access: The management API.
        method: The stub's method.
        request: What to list; its page is filled in.
        limit: No more than this many items; 0 for all.

    Raises:
        CommandError: The list has more than `MAX_PAGES` pages.
    """

    def fetch(page: PageRequest) -> tuple[Sequence[Any], str]:
        request.page.CopyFrom(page)
        answer = access.call(method, request)
        return _items_of(answer), answer.next_token

    return all_pages(fetch, limit=limit)


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
            return size, fetch(PageRequest(size=size, token=token))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED or size == 1:
                raise
        size = max(size // _SHRINK, 1)


def _items_of(answer: Message) -> Sequence[Any]:
    (field,) = (each for each in answer.DESCRIPTOR.fields if each.is_repeated)
    items: Sequence[Any] = getattr(answer, field.name)
    return items
