"""What a night can bring: processes that die, a broker that does, a primary that steps down."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from bench.insights.stage import Stage, children

DOWN_SECONDS: Final = 0.5
"""How long a killed service stays away."""

STEP_DOWN_SECONDS: Final = 1

Fault = Callable[[Stage], None]


def kill(stage: Stage, service: str) -> None:
    """SIGKILL to a service and its workers; then it is started again."""
    (process,) = (each for each in stage.mesh.processes if each.name == service)
    for pid in (process.pid, *children(process.pid)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(10)
    time.sleep(DOWN_SECONDS)
    process.start()


def kill_evaluation(stage: Stage) -> None:
    """Streams and calls under way end without a word."""
    kill(stage, "evaluation")


def kill_ingest(stage: Stage) -> None:
    """In the middle of whatever transaction it is in."""
    kill(stage, "ingest")


def kill_broker(stage: Stage) -> None:
    """A crash, not a shutdown."""
    stage.broker.restart(hard=True)


def step_down(stage: Stage) -> None:
    """The primary goes, with all transactions under way, and is elected again."""
    client: MongoClient[dict[str, object]] = MongoClient(stage.mongod.uri)
    with suppress(PyMongoError):  # it closes connections, this one too
        client.admin.command({"replSetStepDown": STEP_DOWN_SECONDS, "force": True})
    client.close()


def kill_mongod(stage: Stage) -> None:
    """SIGKILL to the primary; it comes back with its journal."""
    assert stage.mongod.pid is not None
    os.kill(stage.mongod.pid, signal.SIGKILL)
    asyncio.run(stage.mongod.stop())
    asyncio.run(stage.mongod.start())


ALL: Final[tuple[Fault, ...]] = (kill_ingest, kill_evaluation, kill_broker, step_down, kill_mongod)
