"""The documented divergences from FeatBit's SDK, each with what recognises it.

They are explained one by one in docs/protocol/featbit.md, under the same names. A recogniser
is handed a part that both sides answered differently, and our answer. It must be narrow: what
it lets pass is never looked at again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import md5

from featmesh.engine import Context
from featmesh.engine.attributes import text_of

from .sides import NO_VARIATION, Json

NEGATIONS = {
    "NotEqual": "Equal",
    "NotContain": "Contains",
    "NotOneOf": "IsOneOf",
    "NotMatchRegex": "MatchRegex",
}
TEXT_OPERATORS = frozenset({"Equal", "Contains", "IsOneOf", "StartsWith", "EndsWith", "MatchRegex"})
NUMBER_OPERATORS = frozenset({"LessThan", "LessEqualThan", "BiggerThan", "BiggerEqualThan"})
COMPARED_OPERATORS = (
    TEXT_OPERATORS | NUMBER_OPERATORS | NEGATIONS.keys() | frozenset({"IsTrue", "IsFalse"})
)
BUILT_IN = frozenset({"key", "keyid", "name"})
EXACT_BUILT_IN = frozenset({"key", "keyId", "name"})
TOP = 1 << 31
RESOLUTION = 1e-5
"""A weight's unit as a fraction; FeatBit also rounds numbers to so many places."""

_DECIMAL = re.compile(r"[ \t\r\n]*[+-]?\d+(\.\d+)?([eE][+-]?\d+)?[ \t\r\n]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ConditionCase:
    """A condition that the two sides answered differently; `ours` is our answer."""

    condition: Json
    user: Context
    ours: bool

    @property
    def operator(self) -> str:
        """The positive operator, so that a recogniser need not know negations."""
        name = str(self.condition["op"])
        return NEGATIONS.get(name, name)

    @property
    def ours_before_negation(self) -> bool:
        """Our answer for the positive operator."""
        return self.ours != (self.condition["op"] in NEGATIONS)

    @property
    def attribute(self) -> str:
        """The attribute's name."""
        return str(self.condition["property"])

    @property
    def operand(self) -> str:
        """The operand's text; a list is JSON."""
        return str(self.condition["value"])

    @property
    def value(self) -> object:
        """The user's attribute; None when it is missing."""
        if self.attribute in BUILT_IN:
            return self.user.name if self.attribute == "name" else self.user.key
        return self.user.attributes.get(self.attribute)


@dataclass(frozen=True, slots=True)
class RolloutCase:
    """A rollout that the two sides answered differently."""

    flag_key: str
    rollout: Json
    user: Context
    theirs: str
    ours: str


def built_in_names(case: ConditionCase) -> bool:
    """FeatBit takes ``KeyID`` or ``NAME`` for the key and the name, in any case."""
    return case.attribute.lower() in BUILT_IN and case.attribute not in EXACT_BUILT_IN


def missing_text(case: ConditionCase) -> bool:
    """A missing attribute is the empty text here, and matches nothing in FeatBit."""
    return case.value is None and case.operator in TEXT_OPERATORS and case.ours_before_negation


def list_attribute(case: ConditionCase) -> bool:
    """A list matches if any element does; FeatBit drops lists."""
    return isinstance(case.value, tuple)


def text_form(case: ConditionCase) -> bool:
    """Booleans and numbers as text: ``true`` and ``10`` here, ``True`` and ``10.0`` there."""
    is_scalar = isinstance(case.value, bool | int | float)
    return is_scalar and case.operator in TEXT_OPERATORS and text_of(case.value) != str(case.value)


def number_syntax(case: ConditionCase) -> bool:
    """FeatBit takes for a number all that Python's ``float`` does: ``1_000``, ``inf``, ``.5``."""
    if case.operator not in NUMBER_OPERATORS or case.ours:
        return False
    return any(_is_number_to_python_alone(each) for each in (str(case.value), case.operand))


def number_rounding(case: ConditionCase) -> bool:
    """FeatBit rounds both numbers to five places before it compares them."""
    if case.operator not in NUMBER_OPERATORS:
        return False
    texts = str(case.value), case.operand
    if not all(_DECIMAL.fullmatch(each) for each in texts):
        return False
    value, operand = map(float, texts)
    return value != operand and round(value, 5) == round(operand, 5)


def pattern_dialect(case: ConditionCase) -> bool:
    r"""RE2's ``$`` is the very end, its ``\d \w \s \b`` are ASCII, and it knows ``\pL``."""
    if case.operator != "MatchRegex":
        return False
    if not _compiles(case.operand):
        return True
    like_re2 = case.operand.replace("$", r"\Z").replace(r"\s", r"[\t\n\f\r ]")
    text = text_of(case.value) or ""
    found = re.search(like_re2, text, re.ASCII) is not None
    has_reason = like_re2 != case.operand or not text.isascii()
    return has_reason and found == case.ours_before_negation


def built_in_dispatch(case: RolloutCase) -> bool:
    """The same as `built_in_names`, for what a rollout hashes."""
    name = case.rollout["dispatchKey"] or ""
    return name.lower() in BUILT_IN and name not in EXACT_BUILT_IN


def dispatch_text_form(case: RolloutCase) -> bool:
    """The same as `text_form`, for what a rollout hashes."""
    value = case.user.attributes.get(case.rollout["dispatchKey"] or "")
    return isinstance(value, bool | int | float) and text_of(value) != str(value)


def weight_resolution(case: RolloutCase) -> bool:
    """Ends of intervals are whole thousandths of a percent here."""
    fraction = _bucket(case) / TOP
    shares = case.rollout["variations"]
    ends = [end for share in shares for end in share["rollout"] if 0 < end < 1]
    return any(
        abs(end - round(end, 5)) > 0 and abs(fraction - end) <= RESOLUTION * len(shares)
        for end in ends
    )


def topmost_bucket(case: RolloutCase) -> bool:
    """Bucket 2^31 is the last share's here, and nobody's in FeatBit."""
    return _bucket(case) == TOP and case.theirs == NO_VARIATION


CONDITIONS: dict[str, Callable[[ConditionCase], bool]] = {
    "built-in names": built_in_names,
    "missing text": missing_text,
    "list attribute": list_attribute,
    "text form": text_form,
    "number syntax": number_syntax,
    "number rounding": number_rounding,
    "pattern dialect": pattern_dialect,
}
ROLLOUTS: dict[str, Callable[[RolloutCase], bool]] = {
    "built-in names": built_in_dispatch,
    "text form": dispatch_text_form,
    "weight resolution": weight_resolution,
    "topmost bucket": topmost_bucket,
}
USERS = frozenset({"refused users", "long keys"})
"""Divergences about a user as a whole; each has a test of its own."""


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _is_number_to_python_alone(text: str) -> bool:
    if _DECIMAL.fullmatch(text) and math.isfinite(float(text)):
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _bucket(case: RolloutCase) -> int:
    name = case.rollout["dispatchKey"] or "keyId"
    value: object = case.user.attributes.get(name)
    if name in EXACT_BUILT_IN:
        value = case.user.name if name == "name" else case.user.key
    digest = md5((case.flag_key + (text_of(value) or "")).encode()).digest()
    return abs(int.from_bytes(digest[:4], "little", signed=True))
