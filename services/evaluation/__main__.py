"""Runs `evaluation`: ``python -m services.evaluation``."""

from __future__ import annotations

from services.evaluation.app import compose
from services.runtime.program import run

if __name__ == "__main__":
    run(compose)
