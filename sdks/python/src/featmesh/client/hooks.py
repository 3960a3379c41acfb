"""What else happens with each evaluation, such as telling a tracing system."""

from __future__ import annotations

from typing import Protocol

from featmesh.client.detail import EvaluationDetail
from featmesh.engine.model import Context


class EvaluationHook(Protocol):
    """Is told of each evaluation, in the thread that asked for it."""

    def after_evaluation(
        self, flag_key: str, context: Context, detail: EvaluationDetail[object]
    ) -> None:
        """Takes what was served; whatever it raises is logged once and harms nobody."""
