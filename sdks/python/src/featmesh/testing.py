"""Flags for your own unit tests, without a server and without a network.

    data = TestData().set("dark-mode", True).set_for("ada", "dark-mode", False)
    client = featmesh.Client.for_testing(data)

Every client made from it hears of a change before the call that makes it returns.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from featmesh.client.detail import Json
from featmesh.engine.model import (
    FULL_WEIGHT,
    Flag,
    Rollout,
    Segment,
    Share,
    Target,
    Value,
    ValueType,
    Variation,
)
from featmesh.wire import DefinitionChanges

__all__ = ["TestData"]

_MAX_ID_CHARACTERS = 64


class TestData:
    """Flags that a test sets; safe in threads.

    A boolean, text or number becomes a flag of that type; a list, dictionary or None a
    JSON flag. For rules, prerequisites and rollouts, `put` takes whole definitions.
    """

    __test__ = False  # its name must not make pytest collect it

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._revision = 1
        self._simple: dict[str, _SimpleFlag] = {}
        self._flags: dict[str, Flag] = {}
        self._segments: dict[str, Segment] = {}
        self._clients: dict[object, Callable[[DefinitionChanges], None]] = {}

    def set(self, flag_key: str, value: Json) -> Self:
        """Serves a value to everybody; values of single users are forgotten."""
        with self._lock:
            self._put_simple(_SimpleFlag(flag_key, _typed(value), {}))
        return self

    def set_for(self, user_key: str, flag_key: str, value: Json) -> Self:
        """Serves a value to one user.

        Raises:
            ValueError: `set` has not said yet what everybody else gets, or the value is of
                another type.
        """
        typed = _typed(value)
        with self._lock:
            simple = self._simple.get(flag_key)
            if simple is None:
                raise ValueError(f"set {flag_key!r} for everybody first")
            if typed.type is not simple.everybody.type:
                raise ValueError(f"{flag_key!r} is of the type {simple.everybody.type}")
            self._put_simple(replace(simple, users={**simple.users, user_key: typed}))
        return self

    def put(self, item: Flag | Segment) -> Self:
        """Takes a whole flag or segment; its revision is set here."""
        with self._lock:
            item = replace(item, revision=self._revision + 1)
            if isinstance(item, Segment):
                self._segments[item.id] = item
                self._change(segments=(item,))
            else:
                self._simple.pop(item.key, None)
                self._flags[item.key] = item
                self._change(flags=(item,))
        return self

    def delete(self, flag_key: str) -> Self:
        """Removes a flag; its evaluations are FLAG_NOT_FOUND."""
        with self._lock:
            self._simple.pop(flag_key, None)
            self._flags.pop(flag_key, None)
            self._change(deleted_flag_keys=(flag_key,))
        return self

    def attach(self, apply: Callable[[DefinitionChanges], None]) -> Callable[[], None]:
        """For `featmesh.Client.for_testing`: gives all at once, then each change."""
        token = object()

        def detach() -> None:
            with self._lock:
                self._clients.pop(token, None)

        with self._lock:
            self._clients[token] = apply
            apply(
                DefinitionChanges(
                    full=True,
                    revision=self._revision,
                    flags=tuple(self._flags.values()),
                    segments=tuple(self._segments.values()),
                )
            )
        return detach

    def _put_simple(self, simple: _SimpleFlag) -> None:
        self.put(simple.flag())
        self._simple[simple.key] = simple

    def _change(
        self,
        *,
        flags: tuple[Flag, ...] = (),
        segments: tuple[Segment, ...] = (),
        deleted_flag_keys: tuple[str, ...] = (),
    ) -> None:
        self._revision += 1
        changes = DefinitionChanges(
            full=False,
            revision=self._revision,
            flags=flags,
            segments=segments,
            deleted_flag_keys=deleted_flag_keys,
        )
        for apply in tuple(self._clients.values()):
            apply(changes)


@dataclass(frozen=True, slots=True)
class _Typed:
    """A value as a variation holds it."""

    type: ValueType
    value: Value


@dataclass(frozen=True, slots=True)
class _SimpleFlag:
    """What `TestData.set` and `TestData.set_for` said about a flag."""

    key: str
    everybody: _Typed
    users: dict[str, _Typed]

    def flag(self) -> Flag:
        values = dict.fromkeys(
            [self.everybody.value, *(each.value for each in self.users.values())]
        )
        ids = {value: _variation_id(value, index) for index, value in enumerate(values)}
        usual = ids[self.everybody.value]
        return Flag(
            key=self.key,
            value_type=self.everybody.type,
            variations=tuple(Variation(ids[value], ids[value], value) for value in values),
            off_variation_id=usual,
            fallthrough=Rollout((Share(usual, FULL_WEIGHT),)),
            enabled=True,
            targets=tuple(Target(ids[each.value], (user,)) for user, each in self.users.items()),
        )


def _typed(value: Json) -> _Typed:
    if isinstance(value, bool):
        return _Typed(ValueType.BOOLEAN, value)
    if isinstance(value, str):
        return _Typed(ValueType.STRING, value)
    if isinstance(value, int | float):
        return _Typed(ValueType.NUMBER, float(value))
    return _Typed(ValueType.JSON, json.dumps(value))


def _variation_id(value: Value, index: int) -> str:
    text = json.dumps(value)
    return text if len(text) <= _MAX_ID_CHARACTERS else f"variation-{index}"
