"""The settings of `evaluation`, read from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from services.evaluation.sync.timers import TimerSettings
from services.runtime.config import EnvironmentReader
from services.runtime.cores import usable_cores
from services.runtime.settings import (
    ServerKind,
    ServerSettings,
    StoreSettings,
    read_amqp_url,
    read_server,
    read_store,
)

LISTEN: Final = "FEATMESH_EVALUATION_LISTEN"
DEFAULT_PORT: Final = 7401
DEFAULT_TRACK_RATE: Final = 100_000.0


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What `evaluation` needs to know; ``amqp_url`` is empty when the bus is in-process."""

    server: ServerSettings
    store: StoreSettings
    amqp_url: str = ""
    timer_settings: TimerSettings = field(default_factory=TimerSettings)
    poll_interval: float = 1.0
    """Seconds between two looks at the revisions of loaded environments."""
    idle_environment: float = 300.0
    """Seconds without a stream after which an environment is dropped from memory."""
    workers: int = 1
    """Processes that share the port."""
    track_rate: float = DEFAULT_TRACK_RATE
    """Users and events per second that one SDK key may send to this process."""


def read_settings(variables: Mapping[str, str]) -> EvaluationSettings:
    """Raises `ConfigError`."""
    reader = EnvironmentReader(variables)
    settings = EvaluationSettings(
        server=read_server(reader, LISTEN, DEFAULT_PORT, ServerKind.LOOP),
        store=read_store(reader),
        amqp_url=read_amqp_url(reader),
        timer_settings=read_pace(reader),
        poll_interval=reader.number("FEATMESH_POLL_INTERVAL_SECONDS", 1.0, low=0.05, high=4.0),
        idle_environment=reader.number(
            "FEATMESH_IDLE_ENVIRONMENT_SECONDS", 300.0, low=1, high=86_400
        ),
        track_rate=reader.number(
            "FEATMESH_TRACK_EVENTS_PER_SECOND", DEFAULT_TRACK_RATE, low=1, high=1e9
        ),
        workers=reader.integer("FEATMESH_EVALUATION_WORKERS", usable_cores(), low=1, high=256),
    )
    reader.finish()
    return settings


def read_pace(reader: EnvironmentReader) -> TimerSettings:
    """``FEATMESH_HEARTBEAT_SECONDS`` and ``FEATMESH_MAX_STREAM_AGE_SECONDS``."""
    return TimerSettings(
        heartbeat=reader.number("FEATMESH_HEARTBEAT_SECONDS", 25.0, low=1, high=60),
        max_age=reader.number("FEATMESH_MAX_STREAM_AGE_SECONDS", 3_600.0, low=1, high=604_800),
    )
