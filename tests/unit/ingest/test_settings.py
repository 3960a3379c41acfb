from __future__ import annotations

import pytest

from services.ingest.app import read_settings
from services.runtime.config import Address, ConfigError


def test_all_faults_of_the_settings_are_told_together() -> None:
    variables = {"FEATMESH_INGEST_LISTEN": "here", "FEATMESH_INGEST_PREFETCH": "0"}
    with pytest.raises(ConfigError) as raised:
        read_settings(variables)
    named = [fault.partition(" ")[0] for fault in raised.value.faults]
    assert sorted(named) == [
        "FEATMESH_AMQP_URL",
        "FEATMESH_INGEST_LISTEN",
        "FEATMESH_INGEST_PREFETCH",
        "FEATMESH_MONGODB_URI",
    ]


def test_what_is_not_set_has_a_default() -> None:
    needed = {"FEATMESH_MONGODB_URI": "mongodb://db/", "FEATMESH_AMQP_URL": "amqp://broker/"}
    settings = read_settings(needed)
    assert settings.server.listen == Address("127.0.0.1", 7402)
    assert settings.store.database == "featmesh"
    assert (settings.prefetch, settings.transaction_events, settings.linger) == (200, 10_000, 0.5)
