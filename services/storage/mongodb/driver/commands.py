"""Writes of many documents as plain commands: the driver's own loops cost more than the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pymongo.errors import BulkWriteError

from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.transactions import Session

CHUNK: Final = 10_000
"""Documents of one command; with at most 1.5 KiB each they stay below its 16 MiB."""


async def insert_many(
    connection: Connection, collection: str, documents: Sequence[Any], *, session: Session
) -> None:
    """Inserts all. Raises `BulkWriteError` for what the server refuses."""
    for start in range(0, len(documents), CHUNK):
        chunk = documents[start : start + CHUNK]
        command = {"insert": collection, "documents": chunk, "ordered": False}
        _check(await connection.database.command(command, session=session))


async def update_many(
    connection: Connection,
    collection: str,
    statements: Sequence[Document],
    *,
    session: Session,
) -> None:
    """Runs up to `CHUNK` statements as the server's ``update`` command takes them."""
    if not statements:
        return
    command = {"update": collection, "updates": statements, "ordered": False}
    _check(await connection.database.command(command, session=session))


def _check(answer: Document) -> None:
    failures = {
        name: answer[name] for name in ("writeErrors", "writeConcernError") if answer.get(name)
    }
    if failures:
        concern = failures.get("writeConcernError")
        raise BulkWriteError(
            {
                "writeErrors": failures.get("writeErrors", []),
                "writeConcernErrors": [concern] if concern else [],
            }
        )
