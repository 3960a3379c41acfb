"""How conditions and rollouts read a context."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import attrgetter

from featmesh.engine.model import Context
from featmesh.engine.numbers import number_text

MAX_KEY_BYTES = 512
"""Most bytes of a context's key in UTF-8; evaluation.proto says the same."""

BUILT_IN = {"key": "key", "keyId": "key", "name": "name"}
"""Attributes that are the context's own fields, whatever its attributes hold."""

KEY_NAMES = frozenset({"", "key", "keyId"})
"""Names of a dispatch attribute that stand for the key."""

_CACHED = 1_024
"""Thousands of flags read the same few attributes, so they share what reads them."""

Reader = Callable[[Context], object]
"""Reads one attribute; None when the context has none of that name."""


def valid_context(context: object) -> bool:
    """Whether this is a context whose key is 1 to 512 bytes of UTF-8."""
    if not isinstance(context, Context) or not isinstance(context.key, str):
        return False
    try:
        return 0 < len(context.key.encode()) <= MAX_KEY_BYTES
    except UnicodeEncodeError:
        return False


@lru_cache(maxsize=_CACHED)
def reader(name: str) -> Reader:
    """Reads the attribute; ``key``, ``keyId`` and ``name`` are the context's own fields.

    An attribute of the same name as a built-in one is never seen.
    """
    built_in = BUILT_IN.get(name)
    if built_in is not None:
        return attrgetter(built_in)

    def read(context: Context) -> object:
        return context.attributes.get(name)

    return read


def elements(value: object) -> Iterable[object]:
    """The elements of a list attribute, or the one value of any other."""
    return value if isinstance(value, tuple | list) else (value,)


def text_of(value: object) -> str | None:
    """A single value as text; None for what is not text, number or boolean."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return None


@lru_cache(maxsize=_CACHED)
def dispatch_bytes(name: str) -> Callable[[Context], bytes]:
    """Reads what a rollout hashes: the attribute as UTF-8, or the key for an empty name.

    A missing attribute is the empty string, and so is a list, which has no one text.
    """
    read = reader(name or "key")

    def read_bytes(context: Context) -> bytes:
        return (text_of(read(context)) or "").encode("utf-8", "surrogatepass")

    return read_bytes
