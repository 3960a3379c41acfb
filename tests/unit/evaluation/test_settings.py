from __future__ import annotations

import pytest

from services.evaluation.settings import read_settings
from services.runtime.config import Address, ConfigError
from services.runtime.settings import ServerKind


def test_all_faults_of_the_settings_are_told_together() -> None:
    variables = {
        "FEATMESH_EVALUATION_LISTEN": "here",
        "FEATMESH_POLL_INTERVAL_SECONDS": "0",
        "FEATMESH_HEARTBEAT_SECONDS": "nan",
        "FEATMESH_MAX_STREAM_AGE_SECONDS": "soon",
        "FEATMESH_IDLE_ENVIRONMENT_SECONDS": "-1",
        "FEATMESH_GRPC_SERVER": "twisted",
    }
    with pytest.raises(ConfigError) as raised:
        read_settings(variables)
    named = [fault.partition(" ")[0] for fault in raised.value.faults]
    assert sorted(named) == sorted([*variables, "FEATMESH_AMQP_URL", "FEATMESH_MONGODB_URI"])


def test_what_is_not_set_has_a_default() -> None:
    needed = {"FEATMESH_MONGODB_URI": "mongodb://db/", "FEATMESH_AMQP_URL": "amqp://broker/"}
    settings = read_settings(needed)
    assert settings.server.kind is ServerKind.LOOP
    assert settings.server.listen == Address("127.0.0.1", 7401)
    assert settings.store.database == "featmesh"
    assert (settings.poll_interval, settings.idle_environment) == (1.0, 300.0)
    assert (settings.timer_settings.heartbeat, settings.timer_settings.max_age) == (25.0, 3_600.0)
