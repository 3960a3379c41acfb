"""The settings of the three services in one process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.api.app import DEFAULT_PORT as API_PORT
from services.api.app import read_bootstrap_token_file
from services.evaluation.app import DEFAULT_PORT as EVALUATION_PORT
from services.ingest.app import DEFAULT_PORT as INGEST_PORT
from services.runtime.config import Address, EnvironmentReader
from services.runtime.settings import LOOPBACK, ServerSettings

DRAIN_WINDOW_SECONDS: Final = 1.0
"""Shorter than that of the separate services: a person waits, and no load balancer."""


@dataclass(frozen=True, slots=True)
class StandaloneSettings:
    """What standalone needs to know; ``mongodb_uri`` is empty for the embedded mongod."""

    data_dir: Path
    mongodb_uri: str
    database: str
    api: ServerSettings
    evaluation: ServerSettings
    ingest: ServerSettings
    token_file: Path
    """Takes the management token at the first start."""


def read_settings(variables: Mapping[str, str]) -> StandaloneSettings:
    """Raises `ConfigError`."""
    reader = EnvironmentReader(variables)
    data_dir = Path(reader.text("FEATMESH_DATA_DIR", ".featmesh")).absolute()
    settings = StandaloneSettings(
        data_dir=data_dir,
        mongodb_uri=reader.text("FEATMESH_MONGODB_URI", ""),
        database=reader.text("FEATMESH_MONGODB_DATABASE", "featmesh"),
        api=_server(reader, "FEATMESH_API_LISTEN", API_PORT),
        evaluation=_server(reader, "FEATMESH_EVALUATION_LISTEN", EVALUATION_PORT),
        ingest=_server(reader, "FEATMESH_INGEST_LISTEN", INGEST_PORT),
        token_file=read_bootstrap_token_file(reader) or data_dir / "token",
    )
    reader.finish()
    return settings


def _server(reader: EnvironmentReader, listen: str, port: int) -> ServerSettings:
    window = DRAIN_WINDOW_SECONDS
    return ServerSettings(
        listen=reader.address(listen, Address(LOOPBACK, port)),
        drain_delay=reader.number("FEATMESH_DRAIN_DELAY_SECONDS", 0.0, low=0, high=300),
        drain_window=reader.number("FEATMESH_DRAIN_WINDOW_SECONDS", window, low=0, high=300),
    )
