"""Translates the driver's errors, so that none of them leaves this package."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from bson.errors import BSONError
from pymongo.errors import (
    BulkWriteError,
    DocumentTooLarge,
    DuplicateKeyError,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
)

from services.runtime.errors import AlreadyExists, InvalidArgument, MeshError, StoreUnavailable

DUPLICATE_KEY = 11000
_TOO_LARGE = frozenset({10334, 17280, 17419, 17420})  # document, index key, update's result
_REFUSALS = {
    14031: "has no disk space left",
    12501: "has used up its disk quota",
    13: "does not permit this user to do that",
    18: "does not let this user in",
    64: "did not confirm the write on a majority of its nodes in time",
    50: "did not do it in time",
}
_CHANGE_TOO_LARGE = 388  # for the part of the server's cache that one transaction may take


class Addressed(Protocol):
    """Whoever talks to a store and can say which."""

    @property
    def address(self) -> str:
        """Hosts and ports, without credentials."""
        ...


S = TypeVar("S", bound=Addressed)
P = ParamSpec("P")
R = TypeVar("R")


def translated(
    method: Callable[Concatenate[S, P], Awaitable[R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Make an adapter's method raise `MeshError` where the driver raises its own errors."""

    @wraps(method)
    async def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with translating(self.address):
            return await method(self, *args, **kwargs)

    return call


@contextmanager
def translating(address: str) -> Iterator[None]:
    """Translate what the block raises; ``address`` names the store in messages."""
    try:
        yield
    except (PyMongoError, BSONError) as error:
        raise translate(error, address) from error


def translate(error: PyMongoError | BSONError, address: str) -> MeshError:
    """The error that callers see for one of the driver's."""
    if isinstance(error, BulkWriteError):
        failure = first_write_error(error)
        return _refused(failure.get("code"), str(failure.get("errmsg", "")), address)
    if isinstance(error, DocumentTooLarge | BSONError):
        return _too_large_or_unstorable()
    if isinstance(error, DuplicateKeyError):
        return _refused(DUPLICATE_KEY, "", address)
    if isinstance(error, OperationFailure):
        details = error.details or {}
        return _refused(error.code, str(details.get("errmsg", "")), address)
    if isinstance(error, NotPrimaryError):
        return StoreUnavailable(f"MongoDB at {address} has no primary that takes writes just now")
    return StoreUnavailable(f"MongoDB at {address} does not answer ({type(error).__name__})")


def first_write_error(error: BulkWriteError) -> Mapping[str, Any]:
    """What stopped a bulk write: ``code``, ``errmsg`` and, for a taken key, ``keyValue``."""
    details = error.details or {}
    failures = details.get("writeErrors") or details.get("writeConcernErrors") or [{}]
    first: Mapping[str, Any] = failures[0]
    return first


def _refused(code: Any, message: str, address: str) -> MeshError:
    if code == DUPLICATE_KEY:
        return AlreadyExists("the key is taken")
    if code in _TOO_LARGE:
        return _too_large_or_unstorable()
    if code == _CHANGE_TOO_LARGE:
        return InvalidArgument.of("writes", "too large for one transaction of this MongoDB")
    said = _REFUSALS.get(code, f"refused: {message or 'no reason given'}")
    return StoreUnavailable(f"MongoDB at {address} {said}")


def _too_large_or_unstorable() -> InvalidArgument:
    return InvalidArgument.of("item", "cannot be stored: larger than 16 MiB, or not valid text")
