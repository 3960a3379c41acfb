from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from services.api.app import compose, read_settings
from services.runtime.config import ConfigError


def test_all_wrong_settings_are_named_together() -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({"FEATMESH_API_LISTEN": "nowhere", "FEATMESH_TOMBSTONE_RETENTION_DAYS": "0"})
    text = str(caught.value)
    for name in (
        "FEATMESH_API_LISTEN",
        "FEATMESH_MONGODB_URI",
        "FEATMESH_AMQP_URL",
        "FEATMESH_TOMBSTONE_RETENTION_DAYS",
    ):
        assert name in text


@pytest.mark.parametrize("variable", ["FEATMESH_MONGODB_URI", "FEATMESH_AMQP_URL"])
async def test_an_address_that_cannot_be_one_is_a_wrong_setting(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATMESH_MONGODB_URI", "mongodb://127.0.0.1:1")
    monkeypatch.setenv("FEATMESH_AMQP_URL", "amqp://127.0.0.1:1")
    monkeypatch.setenv(variable, "http://user:secret@nowhere")
    with pytest.raises(ConfigError, match=variable) as caught:
        await compose()
    assert "secret" not in str(caught.value)


def test_settings_come_from_the_environment() -> None:
    settings = read_settings(
        {
            "FEATMESH_MONGODB_URI": "mongodb://db:27017",
            "FEATMESH_AMQP_URL": "amqp://mq",
            "FEATMESH_BOOTSTRAP_TOKEN_FILE": "/run/token",
            "FEATMESH_TOMBSTONE_RETENTION_DAYS": "7",
        }
    )
    assert str(settings.server.listen) == "127.0.0.1:7400"
    assert settings.store.database == "featmesh"
    assert settings.bootstrap_token_file == Path("/run/token")
    assert settings.tombstone_retention == timedelta(days=7)
