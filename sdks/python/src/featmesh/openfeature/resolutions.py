"""FeatMesh's evaluation details as OpenFeature's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagMetadata, FlagResolutionDetails

from featmesh.client import EvaluationDetail
from featmesh.client.reasons import open_feature_reason
from featmesh.engine.model import ErrorKind

T = TypeVar("T")
S = TypeVar("S")

_CODES = {
    ErrorKind.FLAG_NOT_FOUND: ErrorCode.FLAG_NOT_FOUND,
    ErrorKind.MALFORMED_FLAG: ErrorCode.PARSE_ERROR,
    ErrorKind.TYPE_MISMATCH: ErrorCode.TYPE_MISMATCH,
    ErrorKind.CLIENT_NOT_READY: ErrorCode.PROVIDER_NOT_READY,
    ErrorKind.INVALID_CONTEXT: ErrorCode.INVALID_CONTEXT,
    ErrorKind.GENERAL: ErrorCode.GENERAL,
}

_MESSAGES = {
    ErrorKind.FLAG_NOT_FOUND: "there is no such flag, or it is archived",
    ErrorKind.MALFORMED_FLAG: "the flag's definition contradicts itself",
    ErrorKind.TYPE_MISMATCH: "the flag is of another type",
    ErrorKind.CLIENT_NOT_READY: "no definitions have come yet",
    ErrorKind.INVALID_CONTEXT: "the targeting key must be 1 to 512 bytes of UTF-8",
    ErrorKind.GENERAL: "the evaluation failed; see the log",
}


def resolution(
    detail: EvaluationDetail[S],
    default: T,
    convert: Callable[[S], T | None],
    *,
    looks_at_nothing: bool,
) -> FlagResolutionDetails[T]:
    """What OpenFeature is told.

    Args:
        detail: What the client answered.
        default: The caller's default.
        convert: Makes the value of the type that was asked for; None if it cannot.
        looks_at_nothing: Whether the flag gives every context this result.
    """
    kind = detail.error_kind
    value = convert(detail.value) if kind is None else None
    if value is None:
        kind = kind or ErrorKind.TYPE_MISMATCH
        return failure(default, _CODES[kind], _MESSAGES[kind])
    return FlagResolutionDetails(
        value=value,
        reason=open_feature_reason(detail, looks_at_nothing=looks_at_nothing),
        variant=detail.variation_id,
        flag_metadata=_metadata(detail),
    )


def failure(default: T, code: ErrorCode, message: str) -> FlagResolutionDetails[T]:
    """What OpenFeature is told where there is no value."""
    return FlagResolutionDetails(
        value=default, reason="ERROR", error_code=code, error_message=message
    )


def _metadata(detail: EvaluationDetail[object]) -> FlagMetadata:
    """OpenFeature's well-known ``version``, and what of ours is not empty."""
    metadata: dict[str, bool | int | float | str] = {
        "version": str(detail.flag_revision),
        "revision": detail.revision,
        "inExperiment": detail.in_experiment,
    }
    ours = {
        "ruleId": detail.rule_id,
        "ruleName": detail.rule_name,
        "prerequisiteKey": detail.prerequisite_key,
    }
    return metadata | {key: value for key, value in ours.items() if value}
