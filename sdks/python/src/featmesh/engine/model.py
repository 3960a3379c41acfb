"""The engine's model: what a flag, a segment and a context are, without any transport.

Every class is immutable (see `records`). Limits are enforced where data enters (the management
API and the SDK's decoding), never here: the engine must give an answer for anything it is handed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from featmesh.engine.records import record

FULL_WEIGHT = 100_000
"""All shares of a rollout add up to this many thousandths of a percent."""

Value = bool | float | str
"""What a variation serves; a JSON variation holds its text."""

Attribute = str | float | bool | tuple[str, ...]
"""One attribute of a context; numbers are doubles (an int is taken as one)."""


class ValueType(StrEnum):
    """Type of all variations of a flag."""

    BOOLEAN = "boolean"
    STRING = "string"
    NUMBER = "number"
    JSON = "json"


class Operator(StrEnum):
    """The operators that this engine knows; a condition may hold the name of another."""

    EQUAL = "EQUAL"
    NOT_EQUAL = "NOT_EQUAL"
    IN = "IN"
    NOT_IN = "NOT_IN"
    CONTAINS = "CONTAINS"
    NOT_CONTAINS = "NOT_CONTAINS"
    STARTS_WITH = "STARTS_WITH"
    ENDS_WITH = "ENDS_WITH"
    MATCHES = "MATCHES"
    NOT_MATCHES = "NOT_MATCHES"
    LESS_THAN = "LESS_THAN"
    LESS_OR_EQUAL = "LESS_OR_EQUAL"
    GREATER_THAN = "GREATER_THAN"
    GREATER_OR_EQUAL = "GREATER_OR_EQUAL"
    IS_TRUE = "IS_TRUE"
    IS_FALSE = "IS_FALSE"
    SEMVER_EQUAL = "SEMVER_EQUAL"
    SEMVER_LESS_THAN = "SEMVER_LESS_THAN"
    SEMVER_LESS_OR_EQUAL = "SEMVER_LESS_OR_EQUAL"
    SEMVER_GREATER_THAN = "SEMVER_GREATER_THAN"
    SEMVER_GREATER_OR_EQUAL = "SEMVER_GREATER_OR_EQUAL"
    BEFORE = "BEFORE"
    AFTER = "AFTER"
    IN_SEGMENT = "IN_SEGMENT"
    NOT_IN_SEGMENT = "NOT_IN_SEGMENT"


class Reason(StrEnum):
    """Why a value was served."""

    OFF = "OFF"
    PREREQUISITE_FAILED = "PREREQUISITE_FAILED"
    TARGET_MATCH = "TARGET_MATCH"
    RULE_MATCH = "RULE_MATCH"
    FALLTHROUGH = "FALLTHROUGH"
    ERROR = "ERROR"


class ErrorKind(StrEnum):
    """Why there is no value."""

    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    MALFORMED_FLAG = "MALFORMED_FLAG"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    CLIENT_NOT_READY = "CLIENT_NOT_READY"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    GENERAL = "GENERAL"


@dataclass(frozen=True, slots=True)
class Context:
    """Whom a flag is evaluated for. ``key`` is 1 to 512 bytes of UTF-8.

    ``private`` names attributes (or ``name``) that are read here and never sent anywhere.
    """

    key: str
    name: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    private: Collection[str] = ()


@record(frozen=True, slots=True)
class Variation:
    """One of the values that a flag can serve."""

    id: str
    name: str
    value: Value


@record(frozen=True, slots=True)
class Share:
    """One variation's part of a rollout; both numbers are thousandths of a percent."""

    variation_id: str
    weight: int
    experiment_share: int = FULL_WEIGHT


@record(frozen=True, slots=True)
class Rollout:
    """Spreads contexts over variations; an empty dispatch attribute is the key."""

    shares: tuple[Share, ...]
    dispatch_attribute: str = ""
    in_experiment: bool = False


@record(frozen=True, slots=True)
class Condition:
    """One test of a rule. ``operator`` is an `Operator` name, or one unknown here."""

    attribute: str
    operator: str
    values: tuple[str, ...] = ()


@record(frozen=True, slots=True)
class Rule:
    """Serves its rollout to contexts for which all conditions hold."""

    id: str
    name: str
    conditions: tuple[Condition, ...]
    rollout: Rollout


@record(frozen=True, slots=True)
class Target:
    """Serves one variation to the listed context keys."""

    variation_id: str
    keys: tuple[str, ...]


@record(frozen=True, slots=True)
class Prerequisite:
    """Demands that another flag serves one of its variations."""

    flag_key: str
    variation_id: str


@record(frozen=True, slots=True)
class Flag:
    """A feature flag's definition. ``salt`` may be empty: then the key is the salt."""

    key: str
    value_type: ValueType
    variations: tuple[Variation, ...]
    off_variation_id: str
    fallthrough: Rollout
    enabled: bool = False
    salt: str = ""
    prerequisites: tuple[Prerequisite, ...] = ()
    targets: tuple[Target, ...] = ()
    rules: tuple[Rule, ...] = ()
    include_all_targets: bool = False
    archived: bool = False
    version: int = 0
    revision: int = 0


@record(frozen=True, slots=True)
class SegmentRule:
    """Makes contexts members when all conditions hold."""

    id: str
    name: str
    conditions: tuple[Condition, ...]


@record(frozen=True, slots=True)
class Segment:
    """A set of contexts; conditions refer to it by ``id``."""

    id: str
    key: str
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    rules: tuple[SegmentRule, ...] = ()
    archived: bool = False
    version: int = 0
    revision: int = 0


@final
@record(frozen=True, slots=True)
class Result:
    """One flag's answer for one context; ``value`` is None exactly on an error."""

    flag_key: str
    value: Value | None
    variation_id: str
    reason: Reason
    rule_id: str = ""
    rule_name: str = ""
    bucketed: bool = False
    in_experiment: bool = False
    flag_revision: int = 0
    error_kind: ErrorKind | None = None
    prerequisite_key: str = ""
    value_type: ValueType | None = None
