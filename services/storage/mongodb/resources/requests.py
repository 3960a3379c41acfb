"""Outcomes of changes by their callers' request ids, kept for 24 hours by the TTL index."""

from __future__ import annotations

from services.runtime.errors import InvalidArgument
from services.storage.model.changes import WriteOptions
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.transactions import Session


async def find_outcome(
    connection: Connection, scope_id: str, options: WriteOptions, session: Session | None = None
) -> Document | None:
    """What was remembered, if it was; raises `InvalidArgument` for an id of something else."""
    if not options.request_id:
        return None
    query = {"_id": _document_id(scope_id, options)}
    document = await connection["requests"].find_one(query, session=session)
    if document is None:
        return None
    if document.get("digest") != options.digest:
        text = "was used for another change within the last 24 hours"
        raise InvalidArgument.of("options.request_id", text)
    outcome: Document = document["outcome"]
    return outcome


async def remember(
    connection: Connection,
    scope_id: str,
    options: WriteOptions,
    outcome: Document,
    session: Session,
) -> None:
    """Keeps the outcome in the change's own transaction; nothing without a request id."""
    if options.request_id:
        document = {
            "_id": _document_id(scope_id, options),
            "digest": options.digest,
            "outcome": outcome,
            "created_at": connection.now(),
        }
        await connection["requests"].insert_one(document, session=session)


def _document_id(scope_id: str, options: WriteOptions) -> str:
    return f"{scope_id}/{options.request_id}"
