from __future__ import annotations

import pytest

from services.evaluation.app import compose
from services.runtime.config import ConfigError

GOOD = {
    "FEATMESH_MONGODB_URI": "mongodb://127.0.0.1:1",
    "FEATMESH_AMQP_URL": "amqp://guest:guest@127.0.0.1:1/",
}


@pytest.mark.parametrize("variable", GOOD)
async def test_a_malformed_address_is_reported_with_its_variable_and_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name, value in {**GOOD, variable: "http://ada:hunter2@host"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=variable) as caught:
        await compose()
    assert "hunter2" not in str(caught.value)
