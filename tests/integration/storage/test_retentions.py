from __future__ import annotations

import pytest

from services.storage.mongodb import MongoStore
from services.storage.mongodb.events import retention as retentions
from services.storage.mongodb.events.retention import Retentions
from tests.support.resources import Environment, update_environment

DAY_MS = 24 * 3_600_000


async def test_more_environments_than_are_remembered_are_read_together_all_the_same(
    store: MongoStore, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retentions, "REMEMBERED", 1)
    await update_environment(store, environment.id, retention_days=90)
    known = Retentions(store._connection)
    await known.read([environment.id, "gone-1"])
    expected = {environment.id: 90 * DAY_MS, "gone-1": 30 * DAY_MS, "gone-2": 30 * DAY_MS}
    assert await known.read([environment.id, "gone-1", "gone-2"]) == expected
