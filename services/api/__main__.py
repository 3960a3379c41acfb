"""``python -m services.api``."""

from __future__ import annotations

from services.api.app import compose
from services.runtime.program import run

if __name__ == "__main__":
    run(compose)
