"""One file of vectors while it is being written."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Json = dict[str, Any]


class Odd(Enum):
    """Attributes that no plain value stands for."""

    MISSING = "the context has no attribute of that name"
    UNSET = "the attribute is there, but none of its kinds is set"


MISSING = Odd.MISSING
UNSET = Odd.UNSET

Attribute = str | float | bool | tuple[str, ...] | Odd

_MAX_KEY_BYTES = 512
_MAX_TEXT_BYTES = 4_096


def require(fact: bool, about: object) -> None:
    """Stops an author who contradicts the formula or names something twice."""
    if not fact:
        raise ValueError(about)


def context(key: str = "alice", name: str = "", /, **attributes: Attribute) -> Json:
    """A `featmesh.evaluation.v1.Context`."""
    written: Json = {"key": key}
    if name:
        written["name"] = name
    encoded = {
        each: _attribute(value) for each, value in attributes.items() if value is not MISSING
    }
    if encoded:
        written["attributes"] = encoded
    return written


def condition(operator: str | int, *values: str, attribute: str = "a") -> Json:
    """A condition; an operator is its name without the prefix, or a number."""
    named = f"OPERATOR_{operator}" if isinstance(operator, str) else operator
    written: Json = {"attribute": attribute, "operator": named, "values": list(values)}
    if operator in {"IN_SEGMENT", "NOT_IN_SEGMENT"}:
        del written["attribute"]
    return {each: value for each, value in written.items() if value != []}


def rule(rule_id: str, variation_id: str, *conditions: Json) -> Json:
    """A rule that serves one variation."""
    return {
        "id": rule_id,
        "name": f"Rule {rule_id}",
        "conditions": list(conditions),
        "rollout": serve(variation_id),
    }


def serve(variation_id: str) -> Json:
    """A rollout of one variation to everybody."""
    return rollout((variation_id, 100_000))


def rollout(*shares: tuple[str, int] | tuple[str, int, int], **fields: Any) -> Json:
    """A rollout of (variation, weight) or (variation, weight, experiment share)."""
    written = [
        {"variation_id": share[0], "weight": share[1]}
        | ({"experiment_share": share[2]} if len(share) == 3 else {})
        for share in shares
    ]
    return {"shares": written, **fields}


def flag(key: str, *variation_ids: str, **fields: Any) -> Json:
    """An enabled flag of texts: each variation serves its own id, the last one is the off one.

    Without variations they are ``yes`` and ``no``; everybody is served the last one unless
    a field says otherwise. A field of None is left out.
    """
    ids = variation_ids or ("yes", "no")
    written = {
        "key": key,
        "value_type": "VALUE_TYPE_STRING",
        "variations": [{"id": each, "value": {"string_value": each}} for each in ids],
        "enabled": True,
        "off_variation_id": ids[-1],
        "fallthrough": serve(ids[-1]),
    } | fields
    return {name: value for name, value in written.items() if value is not None}


def served(variation_id: str, reason: str, **fields: Any) -> Json:
    """An expected result of a flag of texts; ``rule`` gives a rule's id and name."""
    rule_id = fields.pop("rule", "")
    named = {"rule_id": rule_id, "rule_name": f"Rule {rule_id}"} if rule_id else {}
    told = {name: value for name, value in fields.items() if value}
    value = told.pop("value", {"string_value": variation_id})
    return (
        {"value": value, "variation_id": variation_id, "reason": f"REASON_{reason}"} | named | told
    )


def failed(kind: str) -> Json:
    """An expected error."""
    return {"reason": "REASON_ERROR", "error_kind": f"ERROR_KIND_{kind}"}


@dataclass
class Suite:
    """Flags, segments and cases of one file."""

    name: str
    title: str
    flags: dict[str, Json] = field(default_factory=dict)
    segments: dict[str, Json] = field(default_factory=dict)
    cases: dict[str, Json] = field(default_factory=dict)
    _shared: dict[str, str] = field(default_factory=dict)

    def add(self, *flags: Json) -> None:
        """Adds flags, each of its own key."""
        for each in flags:
            require(each["key"] not in self.flags, each["key"])
            self.flags[each["key"]] = each

    def segment(self, segment_id: str, **fields: Any) -> None:
        """Adds a segment."""
        require(segment_id not in self.segments, segment_id)
        self.segments[segment_id] = {"id": segment_id, "key": segment_id, **fields}

    def case(
        self, case_id: str, says: str, clause: str, flag_key: str, whom: Json, expected: Json
    ) -> None:
        """Adds a case. Its id is unique in the file; the sentence ends with a full stop."""
        require(case_id not in self.cases, case_id)
        require(says.endswith("."), says)
        self.cases[case_id] = {
            "id": f"{self.name}/{case_id}",
            "says": says,
            "clause": clause,
            "flag_key": flag_key,
            "context": whom,
            "expected": {"flag_key": flag_key, **expected},
        }
        if _beyond_limits(whom):
            self.cases[case_id]["rpc_status"] = "INVALID_ARGUMENT"

    def holds(
        self, case_id: str, says: str, clause: str, tested: Json, whom: Json, holds: bool
    ) -> None:
        """Adds a case of one condition: ``yes`` by a rule if it holds, else ``no``."""
        outcome = "holds" if holds else "does not hold"
        operator = str(tested["operator"]).removeprefix("OPERATOR_")
        result = served("yes", "RULE_MATCH", rule="r") if holds else served("no", "FALLTHROUGH")
        sentence = f"{says}, so {operator} {outcome}."
        self.case(case_id, sentence, clause, self._flag_of(tested), whom, result)

    def _flag_of(self, tested: Json) -> str:
        """The flag of a condition; cases with the same condition share it."""
        exact = json.dumps(tested)
        if exact not in self._shared:
            operator = str(tested["operator"]).removeprefix("OPERATOR_")
            key = f"{operator.lower().replace('_', '-')}-{len(self._shared) + 1}"
            self.add(flag(key, rules=[rule("r", "yes", tested)]))
            self._shared[exact] = key
        return self._shared[exact]


def _attribute(value: Attribute) -> Json:
    if isinstance(value, Odd):
        return {}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, str):
        return {"string_value": value}
    if isinstance(value, tuple):
        return {"list_value": {"values": list(value)}}
    return {"number_value": value if math.isfinite(value) else _not_finite(value)}


def _not_finite(value: float) -> str:
    """As protobuf's JSON mapping writes it."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _beyond_limits(whom: Json) -> bool:
    """Whether the services refuse such a context before it reaches an engine."""
    if not 1 <= len(whom["key"].encode()) <= _MAX_KEY_BYTES:
        return True
    return any(
        not value
        or isinstance(value.get("number_value"), str)
        or len(value.get("string_value", "").encode()) > _MAX_TEXT_BYTES
        for value in whom.get("attributes", {}).values()
    )
