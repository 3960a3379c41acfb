"""The ports that the suites run over; another adapter is another parameter here."""

from __future__ import annotations

import pytest

from services.storage.mongodb import MongoStore
from services.storage.ports.store import ControlStore


@pytest.fixture
def control(store: MongoStore) -> ControlStore:
    """An empty store of resources, on MongoDB."""
    return store
