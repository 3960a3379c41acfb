"""The push benchmark's load generator is written in Go, which a user's machine need not have."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.push import building
from bench.push.generator import Generator, running_generator
from tests.integration.evaluation.conftest import (  # noqa: F401 -- fixtures
    bus,
    client_key,
    insights,
    operator,
    server_key,
    server_sdk,
    service,
    users,
)

collect_ignore = [] if shutil.which("go") else ["test_generator.py"]


@pytest.fixture(scope="session")
def program() -> Path:
    """Built from source; the first time on a machine that takes a while."""
    return building.generator()


@pytest.fixture
async def generator(program: Path) -> AsyncIterator[Generator]:
    async with running_generator(program, is_polite=True) as running:
        yield running
