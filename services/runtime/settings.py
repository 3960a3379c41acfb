"""The settings that every service shares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from services.runtime.config import Address, EnvironmentReader

LOOPBACK = "127.0.0.1"

CLOSE_SECONDS: Final = 10.0
"""Beyond its drain times a service gets so long for messages under way, and to end."""


class ServerKind(StrEnum):
    """Which gRPC server a service has: decision 10."""

    AIO = "aio"
    """Stock `grpc.aio.server`."""
    LOOP = "loop"
    """`LoopServer`, whose pushes cost less than half and which needs gRPC's private core."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How a gRPC server listens and stops; times are seconds."""

    listen: Address
    kind: ServerKind = ServerKind.AIO
    drain_delay: float = 5.0
    """After NOT_SERVING, so that load balancers stop sending new calls."""
    drain_window: float = 10.0
    """For calls under way to end, and for streams to be told to go elsewhere."""
    metrics: Address | None = None
    """Where metrics are served; None for nowhere."""

    @property
    def stop_seconds(self) -> float:
        """How long it may take to stop; what is not done by then is given up."""
        return self.drain_delay + self.drain_window + CLOSE_SECONDS


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where MongoDB is."""

    uri: str
    database: str


def read_server(
    reader: EnvironmentReader, listen: str, port: int, kind: ServerKind = ServerKind.AIO
) -> ServerSettings:
    """Reads where and how a service listens; faults are the reader's.

    ``listen`` names the variable, ``port`` is the default on the loopback interface, and
    ``kind`` that of ``FEATMESH_GRPC_SERVER``.
    """
    return ServerSettings(
        listen=reader.address(listen, Address(LOOPBACK, port)),
        kind=ServerKind(reader.choice("FEATMESH_GRPC_SERVER", kind, tuple(ServerKind))),
        drain_delay=reader.number("FEATMESH_DRAIN_DELAY_SECONDS", 5.0, low=0, high=300),
        drain_window=reader.number("FEATMESH_DRAIN_WINDOW_SECONDS", 10.0, low=0, high=300),
        metrics=reader.optional_address("FEATMESH_METRICS_LISTEN"),
    )


def as_worker(settings: ServerSettings) -> ServerSettings:
    """With metrics, if there are any, on a free port for the supervisor alone."""
    metrics = None if settings.metrics is None else Address(LOOPBACK, 0)
    return replace(settings, metrics=metrics)


def read_store(reader: EnvironmentReader) -> StoreSettings:
    """MongoDB of the separate services: the URI is required."""
    return StoreSettings(
        uri=reader.url("FEATMESH_MONGODB_URI", ("mongodb", "mongodb+srv")),
        database=reader.text("FEATMESH_MONGODB_DATABASE", "featmesh"),
    )


def read_amqp_url(reader: EnvironmentReader) -> str:
    """RabbitMQ of the separate services: required."""
    return reader.url("FEATMESH_AMQP_URL", ("amqp", "amqps"))


def address_of(url: str) -> str:
    """Hosts and ports of a URL, for logs: the rest may hold a password."""
    return urlsplit(url).netloc.rpartition("@")[2]
