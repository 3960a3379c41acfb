"""Lets the body of a transaction run in one thread, from its first command to its last.

Motor has a thread for each command, and changes to it and back: more than the driver itself
takes. A body that awaits nothing but its commands can be run where they are done when they
return, so that nothing is ever waited for.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from motor.motor_asyncio import AsyncIOMotorClientSession

T = TypeVar("T")


def run_sync(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that awaits only what is done already.

    Raises what it raises, and `RuntimeError` where it waits for something.
    """
    try:
        work.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    work.close()
    raise RuntimeError(f"{work!r} waits for more than blocking commands")


class BlockingCollection:
    """As Motor's collection, for a thread that may wait: what it returns is done already."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection

    def find(self, *arguments: Any, **options: Any) -> BlockingCursor:
        return BlockingCursor(self._collection.find(*arguments, **_bare(options)))

    def aggregate(self, *arguments: Any, **options: Any) -> BlockingCursor:
        return BlockingCursor(self._collection.aggregate(*arguments, **_bare(options)))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._collection, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            return method(*arguments, **_bare(options))

        return call


class BlockingCursor:
    """As Motor's cursor."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def sort(self, *arguments: Any) -> BlockingCursor:
        self._cursor.sort(*arguments)
        return self

    async def to_list(self, length: int | None) -> list[Any]:
        return cast("list[Any]", self._cursor.to_list(length))


def _bare(options: dict[str, Any]) -> dict[str, Any]:
    """With the driver's own session in place of Motor's."""
    session = options.get("session")
    if isinstance(session, AsyncIOMotorClientSession):
        return {**options, "session": session.delegate}
    return options
