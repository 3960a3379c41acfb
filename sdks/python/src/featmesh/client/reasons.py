"""OpenFeature's reasons, which OpenTelemetry writes in small letters."""

from __future__ import annotations

from featmesh.client.detail import EvaluationDetail
from featmesh.engine.model import Reason

_BY_REASON = {
    Reason.OFF: "DISABLED",
    Reason.TARGET_MATCH: "TARGETING_MATCH",
    Reason.RULE_MATCH: "TARGETING_MATCH",
    Reason.FALLTHROUGH: "DEFAULT",
    Reason.ERROR: "ERROR",
}
_CAN_SPLIT = frozenset({Reason.TARGET_MATCH, Reason.RULE_MATCH, Reason.FALLTHROUGH})


def open_feature_reason(detail: EvaluationDetail[object], *, looks_at_nothing: bool = False) -> str:
    """The reason in OpenFeature's words; SPLIT where a rollout's hash decided.

    The fallthrough of a flag that ``looks_at_nothing`` is STATIC. OpenFeature has no word for
    PREREQUISITE_FAILED and allows others, so it stays.
    """
    if looks_at_nothing and detail.reason is Reason.FALLTHROUGH:
        return "STATIC"
    if detail.bucketed and detail.reason in _CAN_SPLIT:
        return "SPLIT"
    return _BY_REASON.get(detail.reason, str(detail.reason))
