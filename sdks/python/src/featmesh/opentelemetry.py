"""Writes evaluations into traces; needs ``pip install 'featmesh[otel]'``.

    Options(hooks=[OpenTelemetryHook()])

Each evaluation becomes an event ``feature_flag.evaluation`` on the span that is current,
with the attributes of OpenTelemetry's semantic conventions for feature flags. Without a
recording span nothing happens.
"""

from __future__ import annotations

from opentelemetry import trace

from featmesh.client.detail import EvaluationDetail
from featmesh.client.reasons import open_feature_reason
from featmesh.engine.model import Context, ErrorKind

EVENT_NAME = "feature_flag.evaluation"
PROVIDER_NAME = "FeatMesh"
MAX_VALUE_CHARACTERS = 256
"""A default that is longer is cut, since spans are kept for long."""

_ERROR_TYPES = {
    ErrorKind.MALFORMED_FLAG: "parse_error",
    ErrorKind.CLIENT_NOT_READY: "provider_not_ready",
}


class OpenTelemetryHook:
    """An `EvaluationHook` for ``Options.hooks``.

    Args:
        context_id: Whether the context's key is written too.
    """

    def __init__(self, *, context_id: bool = True) -> None:
        self._context_id = context_id

    def after_evaluation(
        self, flag_key: str, context: Context, detail: EvaluationDetail[object]
    ) -> None:
        """Adds the event to the current span."""
        span = trace.get_current_span()
        if not span.is_recording():
            return
        attributes = {
            "feature_flag.key": flag_key,
            "feature_flag.provider.name": PROVIDER_NAME,
            "feature_flag.result.reason": open_feature_reason(detail).lower(),
            **_outcome(detail),
        }
        if self._context_id:
            attributes["feature_flag.context.id"] = context.key
        span.add_event(EVENT_NAME, attributes)


def _outcome(detail: EvaluationDetail[object]) -> dict[str, bool | float | str]:
    if detail.error_kind is None:
        return {
            "feature_flag.result.variant": detail.variation_id,
            "feature_flag.version": str(detail.flag_revision),
        }
    kind = detail.error_kind
    outcome: dict[str, bool | float | str] = {
        "error.type": _ERROR_TYPES.get(kind, kind.lower()),
        "feature_flag.error.message": f"the caller's default was served: {kind}",
    }
    value = detail.value
    if isinstance(value, str):
        outcome["feature_flag.result.value"] = value[:MAX_VALUE_CHARACTERS]
    elif isinstance(value, bool | int | float):
        outcome["feature_flag.result.value"] = value
    return outcome
