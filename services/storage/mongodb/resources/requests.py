"""Outcomes of mutations by their callers' request ids, kept for 24 hours by the TTL index."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from services.runtime.errors import InvalidArgument
from services.storage.model.changes import Request
from services.storage.mongodb.driver.client import Connection, Document
from services.storage.mongodb.driver.transactions import Session

INSTALLATION = "installation"
"""Scope of request ids for what stands above environments; theirs is the environment's id."""


async def find_outcome(
    connection: Connection, scope: str, request: Request, session: Session | None = None
) -> Document | None:
    """What was remembered, if it was; raises `InvalidArgument` for an id of something else."""
    if not request.id:
        return None
    query = {"_id": _document_id(scope, request)}
    document = await connection["requests"].find_one(query, session=session)
    if document is None:
        return None
    if document.get("digest") != request.digest:
        text = "was used for another change within the last 24 hours"
        raise InvalidArgument.of("options.request_id", text)
    outcome: Document = document["outcome"]
    return outcome


async def remember(
    connection: Connection, scope: str, request: Request, outcome: Document, session: Session
) -> None:
    """Keeps the outcome in the mutation's own transaction; nothing without a request id."""
    if request.id:
        document = {
            "_id": _document_id(scope, request),
            "digest": request.digest,
            "outcome": outcome,
            "created_at": connection.now(),
        }
        await connection["requests"].insert_one(document, session=session)


async def once(
    connection: Connection,
    scope: str,
    request: Request,
    body: Callable[[Session], Coroutine[Any, Any, Document]],
) -> Document:
    """The outcome of ``body``'s transaction, or of the one that had this request before."""

    async def run(session: Session) -> Document:
        known = await find_outcome(connection, scope, request, session)
        if known is not None:
            return known
        outcome = await body(session)
        await remember(connection, scope, request, outcome, session)
        return outcome

    return await connection.transactions.run(run, validate_only=request.validate_only)


def _document_id(scope: str, request: Request) -> str:
    return f"{scope}/{request.id}"
