"""growthbook: one GrowthBook object for each user, as its documentation has it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import growthbook

from bench.evaluation.subject import Call, Calls
from bench.evaluation.workload import MEMBERS, SEGMENT, FlagSpec, User


class GrowthBook:
    """See `Subject`. Its only events are those of a warehouse plugin, a request for every ten."""

    has_segments = True
    has_switchable_events = events = has_patterns = is_native = False

    @contextmanager
    def open(self, flags: Sequence[FlagSpec], folder: Path, *, sink: str | None) -> Iterator[Calls]:
        """Objects that share one document of features."""
        document = _document(flags)
        opened: list[growthbook.GrowthBook] = []

        def calls(flag_key: str, users: Sequence[User]) -> list[Call]:
            for user in users:
                attributes = {"id": user.key, "country": user.country, "age": user.age}
                opened.append(
                    growthbook.GrowthBook(
                        attributes=attributes,
                        features=document["features"],
                        saved_groups=document["savedGroups"],
                    )
                )
            return [(each.is_on, (flag_key,)) for each in opened[-len(users) :]]

        try:
            yield calls
        finally:
            for each in opened:
                each.destroy()

    def value(self, answer: Any) -> object:
        """It is the value."""
        return answer

    def loader(self, flags: Sequence[FlagSpec]) -> Callable[[], object]:
        """From JSON to an object that holds the features."""
        received = json.dumps(_document(flags))

        def load() -> growthbook.GrowthBook:
            document = json.loads(received)
            return growthbook.GrowthBook(
                features=document["features"], saved_groups=document["savedGroups"]
            )

        return load


def _document(flags: Sequence[FlagSpec]) -> dict[str, Any]:
    features = {each.key: {"defaultValue": False, "rules": _rules(each)} for each in flags}
    return {"features": features, "savedGroups": {SEGMENT: sorted(MEMBERS)}}


def _rules(spec: FlagSpec) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if spec.targets:
        found.append({"condition": {"id": {"$in": list(spec.targets)}}, "force": True})
    if spec.segment:
        found.append({"condition": {"id": {"$inGroup": SEGMENT}}, "force": True})
    if spec.countries:
        condition = {"country": {"$in": list(spec.countries)}, "age": {"$gte": 18}}
        found.append({"condition": condition, "force": True})
    if spec.share:
        found.append({"force": True, "coverage": spec.share / 100, "hashAttribute": "id"})
    return found
