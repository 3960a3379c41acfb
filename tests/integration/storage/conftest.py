from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from services.storage.mongodb import MongoStore
from tests.integration.storage.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
async def moved(
    mongodb_uri: str, database_name: str, store: MongoStore, clock: Clock
) -> AsyncIterator[MongoStore]:
    """The store of the test by a clock of the test's."""
    opened = MongoStore.open(mongodb_uri, database=database_name, clock=clock)
    yield opened
    await opened.close()
