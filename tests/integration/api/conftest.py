from __future__ import annotations

from tests.support.api import api, bus

__all__ = ["api", "bus"]
