from __future__ import annotations

from tests.integration.evaluation.conftest import bus, insights, users

__all__ = ["bus", "insights", "users"]
