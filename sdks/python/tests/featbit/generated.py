"""Random flags, segments and users in FeatBit's form; most values are ordinary, a few odd.

The odd ones are there to reach the documented divergences, and to find others.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from featmesh.engine import Attribute, Context

from .sides import Json

COUNTRIES = ("cn", "de", "es", "fr", "us")
PLANS = ("free", "pro", "enterprise")
NUMBERS = ("0", "18", "21", "65", "99.5", "1e2", " 30 ", "-1")
ODD_NUMBERS = ("1_000", "inf", ".5", "٣", "20.999999", "21.000001", "eighteen", "")
PATTERNS = ("^a.+e$", r"@shop\.example$", r"\d{2,}", "(?i)BERLIN|paris", r"^\w+$", r"\s", r"\pL\pN")
TEXTS = (
    "",
    "ada",
    "alice",
    "Berlin",
    "paris",
    "a\n",
    "alice\n",
    "münchen",
    "x٣٤",
    "42",
    "1.0",
    "a1",
)
LISTS = (("beta", "staff"), ("18", "ada"), ())
SCALARS: tuple[Attribute, ...] = (True, False, 10, 10.0, 0.5, 21, 1e-7, 20.999999)
ATTRIBUTES = ("age", "country", "plan", "city", "email", "member", "score")
PROPERTIES = (*ATTRIBUTES, *ATTRIBUTES, "key", "keyId", "name", "KeyID", "NAME")
SINGLE = ("Equal", "NotEqual", "Contains", "NotContain", "StartsWith", "EndsWith")
COMPARISONS = ("LessThan", "LessEqualThan", "BiggerThan", "BiggerEqualThan")
STAMP = "2026-01-01T00:00:00Z"
KEYS = tuple(f"user-{number}" for number in range(400))


@dataclass(frozen=True, slots=True)
class Generator:
    """Draws everything from one seeded source."""

    source: random.Random

    def segments(self, count: int) -> list[Json]:
        """Segments, each naming only earlier ones, so that none leads in a circle."""
        made: list[Json] = []
        for number in range(count):
            made.append(self._segment(number, [each["id"] for each in made]))
        return made

    def flags(self, count: int, segments: list[Json]) -> list[Json]:
        """Flags of two to four variations."""
        ids = [each["id"] for each in segments]
        return [self._flag(number, ids) for number in range(count)]

    def user(self) -> Context:
        """A user who lacks about a quarter of the attributes."""
        draw = self.source.random
        attributes = {name: self._attribute(name) for name in ATTRIBUTES if draw() > 0.25}
        return Context(self.source.choice(KEYS), self._one("ada", "alice", "Bob"), attributes)

    def _segment(self, number: int, earlier: list[str]) -> Json:
        return {
            "id": f"segment-{number}",
            "name": f"Segment {number}",
            "updatedAt": STAMP,
            "included": self._some(KEYS, 40),
            "excluded": self._some(KEYS, 40),
            "rules": [self._segment_rule(each, earlier) for each in range(self._count(2))],
            "isArchived": self._rarely(),
        }

    def _segment_rule(self, number: int, segment_ids: list[str]) -> Json:
        conditions = [self._condition(segment_ids) for _ in range(1 + self._count(1))]
        return {"id": f"rule-{number}", "name": "", "conditions": conditions}

    def _flag(self, number: int, segment_ids: list[str]) -> Json:
        variations = [f"v{each}" for each in range(self.source.randint(2, 4))]
        rules = [self._rule(each, variations, segment_ids) for each in range(self._count(3))]
        return {
            "id": f"id-{number}",
            "key": f"flag-{number}",
            "name": f"Flag {number}",
            "updatedAt": STAMP,
            "variationType": "string",
            "variations": [{"id": each, "name": each, "value": each} for each in variations],
            "targetUsers": [
                {"keyIds": self._some(KEYS, 20), "variationId": each}
                for each in self._some(variations, 2)
            ],
            "rules": rules,
            "isEnabled": not self._rarely(),
            "disabledVariationId": self.source.choice(variations),
            "fallthrough": self._rollout(variations),
            "exptIncludeAllTargets": self._rarely(),
            "isArchived": self._rarely(),
        }

    def _rule(self, number: int, variations: list[str], segment_ids: list[str]) -> Json:
        conditions = [self._condition(segment_ids) for _ in range(self._count(3))]
        head = {"id": f"rule-{number}", "name": f"Rule {number}", "conditions": conditions}
        return head | self._rollout(variations)

    def _rollout(self, variations: list[str]) -> Json:
        chosen = self._one([self.source.choice(variations)], variations)
        ends = [0.0, *self._ends(len(chosen))]
        shares = [
            {"id": each, "rollout": list(interval), "exptRollout": 1}
            for each, interval in zip(chosen, pairwise(ends), strict=True)
        ]
        key: Any = self._one(None, "", "keyId", "country", "score", "Keyid")
        return {"dispatchKey": key, "includedInExpt": self._rarely(), "variations": shares}

    def _ends(self, count: int) -> list[float]:
        """Ends of intervals: whole percents, thirds, or what binary sums leave of tenths."""
        if self._rarely():
            return [*accumulate([1 / count] * (count - 1)), 1.0]
        if self._rarely():
            return [*accumulate([0.1] * (count - 1)), 1.0]
        return [*sorted(self.source.randint(0, 100) / 100 for _ in range(count - 1)), 1.0]

    def _condition(self, segment_ids: list[str]) -> Json:
        if segment_ids and self.source.random() < 0.2:
            name = self._one("User is in segment", "User is not in segment")
            ids = self.source.sample(segment_ids, min(2, len(segment_ids)))
            return {"property": name, "op": None, "value": json.dumps(ids)}
        operator, value = self._operation()
        return {"property": self.source.choice(PROPERTIES), "op": operator, "value": value}

    def _operation(self) -> tuple[str, str]:
        kind = self.source.randrange(5)
        if kind == 0:
            return self._one(*COMPARISONS), self._one(*NUMBERS, *self._odd(ODD_NUMBERS))
        if kind == 1:
            values = [self._one(*COUNTRIES, *PLANS, *TEXTS) for _ in range(3)]
            return self._one("IsOneOf", "NotOneOf"), json.dumps(values)
        if kind == 2:
            return self._one("IsTrue", "IsFalse"), ""
        if kind == 3:
            return self._one("MatchRegex", "NotMatchRegex"), self._one(*PATTERNS)
        return self._one(*SINGLE), self._one(*COUNTRIES, *PLANS, *TEXTS)

    def _attribute(self, name: str) -> Attribute:
        odd: tuple[Attribute, ...] = (*self._odd(LISTS), *self._odd(SCALARS))
        ordinary: tuple[Attribute, ...] = {
            "age": NUMBERS + ODD_NUMBERS,
            "score": NUMBERS + ODD_NUMBERS,
            "country": COUNTRIES,
            "plan": PLANS,
            "member": ("true", "False", "yes", True, False),
        }.get(name, TEXTS)
        return self.source.choice(ordinary + odd)

    def _odd(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return values if self._rarely() else ()

    def _one(self, *values: Any) -> Any:
        return self.source.choice(values)

    def _some(self, values: Any, at_most: int) -> list[Any]:
        return self.source.sample(values, self.source.randint(0, at_most))

    def _count(self, at_most: int) -> int:
        return self.source.randint(0, at_most)

    def _rarely(self) -> bool:
        return self.source.random() < 0.1
