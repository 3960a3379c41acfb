"""Users in a store, as `ingest` puts them there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from featmesh.engine.model import Context
from services.storage.model.observations import UserObservations
from services.storage.ports.store import Store


async def see_users(
    store: Store, environment_id: str, users: Sequence[Context], seen_at: datetime
) -> None:
    """They were seen in one environment at one time."""
    await store.insights.store_observations([UserObservations(environment_id, users, seen_at)])
