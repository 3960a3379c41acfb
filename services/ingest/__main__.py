"""``python -m services.ingest``."""

from __future__ import annotations

from services.ingest.app import compose
from services.runtime.program import run

if __name__ == "__main__":
    run(compose)
