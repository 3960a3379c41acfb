from __future__ import annotations

from collections.abc import Iterator

import pytest

from .fake_api import Api, running_api


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api() as running:
        yield running
