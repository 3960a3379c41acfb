from __future__ import annotations

from collections.abc import Iterator

import pytest

from .stage import Stage, running_stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with running_stage() as running:
        yield running
