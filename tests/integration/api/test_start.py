from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest

from featmesh.management.v1 import tenancy_pb2
from services.messaging.inprocess import InProcessBus
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, new_secret
from services.storage.mongodb import MongoStore
from tests.support.api import NOT_SERVING, SERVING, ApiClient, running_api
from tests.support.proxy import TcpProxy
from tests.support.waiting import PATIENCE

LIST = tenancy_pb2.ListOrganizationsRequest()


def printed_token(text: str) -> str:
    (token,) = (line.strip() for line in text.splitlines() if f"  {ACCESS_TOKEN}_" in line)
    return token


def token_in(path: Path) -> str:
    return path.read_text().strip()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def until_logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while text not in caplog.text:  # noqa: ASYNC110 -- a log has no event
            await asyncio.sleep(0.02)


async def test_the_bootstrap_token_is_printed_at_the_first_start_only(
    store: MongoStore, bus: InProcessBus, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_api(store, bus) as client:
        await client.health(SERVING)
        token = printed_token(capsys.readouterr().out)
        administrator = ApiClient(client.channel, token)
        await administrator.call(administrator.tenancy.ListOrganizations, LIST)
    async with running_api(store, bus) as client:
        await client.health(SERVING)
        assert ACCESS_TOKEN + "_" not in capsys.readouterr().out


async def test_the_bootstrap_token_can_go_to_a_file_of_its_owners_alone(
    store: MongoStore, bus: InProcessBus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "token"
    for _ in range(2):
        async with running_api(store, bus, token_file=path) as client:
            await client.health(SERVING)
            administrator = ApiClient(client.channel, token_in(path))
            await administrator.call(administrator.tenancy.ListOrganizations, LIST)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names_in(tmp_path) == ["token"]
    assert not capsys.readouterr().out


async def test_health_follows_the_store(
    mongodb_uri: str,
    database_name: str,
    store: MongoStore,
    bus: InProcessBus,
    caplog: pytest.LogCaptureFixture,
) -> None:
    target = urlsplit(mongodb_uri)
    proxy = TcpProxy(target.hostname or "127.0.0.1", target.port or 27017)
    await proxy.open()
    uri = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
    await proxy.cut()
    far = MongoStore.open(uri, database=database_name)
    secret = new_secret(ACCESS_TOKEN)
    await store.credentials.create_access_token("t", hash_secret(secret))
    try:
        async with running_api(far, bus, secret=secret) as client:
            await client.health(NOT_SERVING)
            early = await client.refused(client.tenancy.ListOrganizations, LIST)
            assert early.code() == grpc.StatusCode.UNAVAILABLE
            await until_logged(caplog, "FEATMESH_MONGODB_URI (127.0.0.1:1) is not available")
            await proxy.open()
            await client.health(SERVING)
            await client.call(client.tenancy.ListOrganizations, LIST)
            await proxy.cut()
            await client.health(NOT_SERVING)
            await proxy.open()
            await client.health(SERVING)
    finally:
        await far.close()
        await proxy.cut()
    assert "secret" not in caplog.text
