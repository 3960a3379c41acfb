"""``python -m tests.chaos.api_with_clock``: the real `api`, composed with a clock that is behind.

CHAOS_CLOCK_BACK_SECONDS says by how much; everything else is read as `api` does.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from services.api.app import ApiApp, read_settings
from services.messaging.rabbitmq import RabbitMqBus
from services.runtime.program import run
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import utc_now


async def compose() -> ApiApp:
    """As `services.api.app.compose`, with another clock."""
    back = timedelta(seconds=float(os.environ["CHAOS_CLOCK_BACK_SECONDS"]))

    def clock() -> datetime:
        return utc_now() - back

    settings = read_settings(os.environ)
    async with AsyncExitStack() as owned:
        uri, database = settings.store.uri, settings.store.database
        store = MongoStore.open(uri, database=database, clock=clock)
        owned.push_async_callback(store.close)
        bus = RabbitMqBus.open(settings.amqp_url)
        owned.push_async_callback(bus.close)
        return ApiApp(settings, store, bus, owned=owned.pop_all())


if __name__ == "__main__":
    run(compose)
