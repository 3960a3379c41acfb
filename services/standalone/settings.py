"""The settings of the three services in one process: theirs, with defaults for one person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from services.api import app as api
from services.evaluation import settings as evaluation
from services.ingest import app as ingest
from services.runtime.config import Address, ConfigError, EnvironmentReader

DEFAULTS: Final = {
    "FEATMESH_DRAIN_DELAY_SECONDS": "0",
    "FEATMESH_DRAIN_WINDOW_SECONDS": "1",
    "FEATMESH_INGEST_LINGER_MILLISECONDS": "10",
}
"""A person waits, and no load balancer; and `Track` waits until events are stored."""

_GIVEN_LATER: Final = {
    "FEATMESH_MONGODB_URI": "mongodb://embedded",
    "FEATMESH_AMQP_URL": "amqp://in-process",
}
"""The services require them, but standalone hands them a store and a bus."""

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class StandaloneSettings:
    """What standalone needs to know; ``mongodb_uri`` is empty for the embedded mongod."""

    data_dir: Path
    mongodb_uri: str
    database: str
    token_file: Path
    """Takes the management token at the first start."""
    api: api.ApiSettings
    evaluation: evaluation.EvaluationSettings
    ingest: ingest.IngestSettings
    metrics: Address | None
    """Where the metrics of all three are served; they themselves serve none."""


def read_settings(variables: Mapping[str, str]) -> StandaloneSettings:
    """Raises `ConfigError`."""
    reader = EnvironmentReader(variables)
    data_dir = Path(reader.text("FEATMESH_DATA_DIR", ".featmesh")).absolute()
    token_file = reader.text("FEATMESH_BOOTSTRAP_TOKEN_FILE", str(data_dir / "token"))
    given = {name: value for name, value in variables.items() if value.strip()}
    for_services = {
        **DEFAULTS,
        **given,
        **_GIVEN_LATER,
        "FEATMESH_BOOTSTRAP_TOKEN_FILE": token_file,
    }
    faults: dict[str, None] = {}
    for_api = _read(api.read_settings, for_services, faults)
    for_evaluation = _read(evaluation.read_settings, for_services, faults)
    for_ingest = _read(ingest.read_settings, for_services, faults)
    if for_api is None or for_evaluation is None or for_ingest is None:
        raise ConfigError(list(faults))
    metrics = for_api.server.metrics
    return StandaloneSettings(
        data_dir=data_dir,
        mongodb_uri=reader.text("FEATMESH_MONGODB_URI", ""),
        database=reader.text("FEATMESH_MONGODB_DATABASE", "featmesh"),
        token_file=Path(token_file),
        api=replace(for_api, server=replace(for_api.server, metrics=None)),
        evaluation=replace(for_evaluation, server=replace(for_evaluation.server, metrics=None)),
        ingest=replace(for_ingest, server=replace(for_ingest.server, metrics=None)),
        metrics=metrics,
    )


def _read(
    read: Callable[[Mapping[str, str]], S], variables: Mapping[str, str], faults: dict[str, None]
) -> S | None:
    """None when there were faults; one that several services find counts once."""
    try:
        return read(variables)
    except ConfigError as error:
        faults.update(dict.fromkeys(error.faults))
        return None
