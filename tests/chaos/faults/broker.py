"""RabbitMQ away, emptied, cut off."""

from __future__ import annotations

import asyncio
from typing import Final

from tests.chaos.faults.fault import Fault
from tests.chaos.stage import Stage

_CUTS: Final = 3


async def stopped(stage: Stage) -> None:
    """Changes reach evaluation by its poll; events wait in SDKs."""
    await asyncio.to_thread(stage.cluster.broker.stop)
    stage.note("RabbitMQ stopped")
    await stage.hold(30)
    await asyncio.to_thread(stage.cluster.broker.start)


async def emptied(stage: Stage) -> None:
    """Exchanges, queues and bindings are gone; whatever was in the queues is stored before."""
    await stage.tracker.pause()
    await stage.tracker.stored(stage.cluster)
    await asyncio.to_thread(stage.cluster.broker.reset)
    stage.note("RabbitMQ started with nothing in it")
    stage.tracker.resume()
    await stage.hold(5)


async def cut(stage: Stage) -> None:
    """Every service loses its connection, again and again."""
    for _ in range(_CUTS):
        for service in stage.cluster.services:
            await service.broker.cut()
        stage.note("every connection to RabbitMQ cut")
        await stage.hold(1)
        for service in stage.cluster.services:
            await service.broker.open()
        await stage.hold(1)


FAULTS: Final = (
    Fault("RabbitMQ stopped", "RabbitMQ is away for 30 seconds.", stopped),
    Fault("RabbitMQ emptied", "RabbitMQ starts again without its data.", emptied),
    Fault("RabbitMQ cut off", "Connections to RabbitMQ are cut, three times.", cut),
)
