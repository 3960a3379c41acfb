"""What an application gets back from an evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from featmesh.engine.model import ErrorKind, Reason, Result, ValueType

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class EvaluationDetail(Generic[T_co]):
    """A value and why it was served.

    Attributes:
        value: The flag's value, or the caller's default on an error.
        variation_id: The served variation; empty on an error.
        reason: Why.
        error_kind: Why there is no value; None when there is one.
        rule_id: The rule that held, with reason RULE_MATCH, in a server SDK.
        rule_name: Its name.
        bucketed: Whether a rollout's hash decided.
        in_experiment: Whether this evaluation counts for an experiment.
        flag_revision: Revision of the flag's definition.
        prerequisite_key: The flag that failed, with PREREQUISITE_FAILED, in a server SDK.
        revision: Revision of the environment that answered; 0 before there is any.
    """

    value: T_co
    variation_id: str
    reason: Reason
    error_kind: ErrorKind | None = None
    rule_id: str = ""
    rule_name: str = ""
    bucketed: bool = False
    in_experiment: bool = False
    flag_revision: int = 0
    prerequisite_key: str = ""
    revision: int = 0


def served(result: Result, value: T, revision: int = 0) -> EvaluationDetail[T]:
    """The detail of a result that has a value."""
    return EvaluationDetail(
        value=value,
        variation_id=result.variation_id,
        reason=result.reason,
        rule_id=result.rule_id,
        rule_name=result.rule_name,
        bucketed=result.bucketed,
        in_experiment=result.in_experiment,
        flag_revision=result.flag_revision,
        prerequisite_key=result.prerequisite_key,
        revision=revision,
    )


def failed(
    default: T, kind: ErrorKind, *, flag_revision: int = 0, revision: int = 0
) -> EvaluationDetail[T]:
    """The detail of an evaluation that gave no value."""
    return EvaluationDetail(
        value=default,
        variation_id="",
        reason=Reason.ERROR,
        error_kind=kind,
        flag_revision=flag_revision,
        revision=revision,
    )


def failure(key: str, kind: ErrorKind) -> Result:
    """A result without a value."""
    return Result(flag_key=key, value=None, variation_id="", reason=Reason.ERROR, error_kind=kind)


def boolean_detail(result: Result, default: bool, revision: int = 0) -> EvaluationDetail[bool]:
    """Reads a result, of the environment at ``revision``, as a boolean."""
    if result.value is None:
        return _failed(result, default, revision)
    if not isinstance(result.value, bool):
        return _mismatch(result, default, revision)
    return served(result, result.value, revision)


def string_detail(result: Result, default: str, revision: int = 0) -> EvaluationDetail[str]:
    """Reads a result as a text; a JSON flag is none."""
    if result.value is None:
        return _failed(result, default, revision)
    if not isinstance(result.value, str) or result.value_type is ValueType.JSON:
        return _mismatch(result, default, revision)
    return served(result, result.value, revision)


def number_detail(result: Result, default: float, revision: int = 0) -> EvaluationDetail[float]:
    """Reads a result as a number."""
    if result.value is None:
        return _failed(result, default, revision)
    if isinstance(result.value, bool | str):
        return _mismatch(result, default, revision)
    return served(result, result.value, revision)


def json_detail(result: Result, default: Json, revision: int = 0) -> EvaluationDetail[Json]:
    """Reads a result as a JSON document, parsed anew so that the caller may change it."""
    if result.value is None:
        return _failed(result, default, revision)
    if not isinstance(result.value, str) or result.value_type is not ValueType.JSON:
        return _mismatch(result, default, revision)
    try:
        return served(result, json.loads(result.value), revision)
    except (ValueError, RecursionError):
        kind = ErrorKind.MALFORMED_FLAG
        return failed(default, kind, flag_revision=result.flag_revision, revision=revision)


def detail_reader(default: T) -> Callable[[Result, T], EvaluationDetail[T]]:
    """The reader of the default's own type; a document for what is no single value."""
    read: Callable[..., EvaluationDetail[Any]] = json_detail
    if isinstance(default, bool):
        read = boolean_detail
    elif isinstance(default, str):
        read = string_detail
    elif isinstance(default, int | float):
        read = number_detail
    return read


def plain_value(result: Result) -> Json:
    """A result's value as a plain document; None when it has none."""
    if result.value_type is ValueType.JSON:
        return json_detail(result, None).value
    return result.value


def _failed(result: Result, default: T, revision: int) -> EvaluationDetail[T]:
    kind = result.error_kind or ErrorKind.GENERAL
    return failed(default, kind, flag_revision=result.flag_revision, revision=revision)


def _mismatch(result: Result, default: T, revision: int) -> EvaluationDetail[T]:
    kind = ErrorKind.TYPE_MISMATCH
    return failed(default, kind, flag_revision=result.flag_revision, revision=revision)
