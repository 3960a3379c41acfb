"""openfeature-flagd-core: flagd's evaluator without any client around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from bench.evaluation.subject import Call, Calls
from bench.evaluation.workload import FlagSpec, User


class Flagd:
    """See `Subject`. It has no segments (its shared rules are macros) and no events."""

    has_segments = has_switchable_events = events = has_patterns = is_native = False

    @contextmanager
    def open(self, flags: Sequence[FlagSpec], folder: Path, *, sink: str | None) -> Iterator[Calls]:
        """The evaluator."""
        core = FlagdCore()
        core.set_flags(json.dumps(_document(flags)))

        def calls(flag_key: str, users: Sequence[User]) -> list[Call]:
            return [
                (core.resolve_boolean_value, (flag_key, False, _context(user))) for user in users
            ]

        yield calls

    def value(self, answer: Any) -> object:
        """Its details hold the value."""
        return answer.value

    def loader(self, flags: Sequence[FlagSpec]) -> Callable[[], object]:
        """From JSON to its flag store."""
        received = json.dumps(_document(flags))

        def load() -> FlagdCore:
            core = FlagdCore()
            core.set_flags(received)
            return core

        return load


def _context(user: User) -> EvaluationContext:
    return EvaluationContext(user.key, {"country": user.country, "age": user.age})


def _document(flags: Sequence[FlagSpec]) -> dict[str, Any]:
    return {"flags": {each.key: _flag(each) for each in flags if not each.segment}}


def _flag(spec: FlagSpec) -> dict[str, Any]:
    flag: dict[str, Any] = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "on" if spec.share == 100 else "off",
    }
    branches: list[Any] = []
    if spec.targets:
        branches += [{"in": [{"var": "targetingKey"}, list(spec.targets)]}, "on"]
    if spec.countries:
        in_country = {"in": [{"var": "country"}, list(spec.countries)]}
        branches += [{"and": [in_country, {">=": [{"var": "age"}, 18]}]}, "on"]
    rest = {"fractional": [["on", 50], ["off", 50]]} if spec.share == 50 else "off"
    if branches:
        return flag | {"targeting": {"if": [*branches, rest]}}
    return flag | ({"targeting": rest} if spec.share == 50 else {})
