from __future__ import annotations

import asyncio
import os
import pty
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest

from featmesh.management.v1 import organization_service_pb2
from services.messaging.inprocess import InProcessBus
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, new_secret
from services.storage.mongodb import MongoStore
from tests.support.api import NOT_SERVING, SERVING, ApiClient, running_api
from tests.support.proxy import TcpProxy
from tests.support.resources import make_access_token
from tests.support.waiting import PATIENCE

LIST = organization_service_pb2.ListOrganizationsRequest()


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


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Standard output is a terminal; gives what was written to it since the last look."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)

    def written() -> str:
        try:
            return os.read(ours, 65_536).decode()
        except BlockingIOError:
            return ""

    with os.fdopen(theirs, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        yield written
        monkeypatch.undo()
    os.close(ours)


async def test_the_bootstrap_token_is_shown_on_a_terminal_at_the_first_start_only(
    store: MongoStore, bus: InProcessBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal(monkeypatch) as shown:
        async with running_api(store, bus) as client:
            await client.health(SERVING)
            token = printed_token(shown())
            administrator = ApiClient(client.channel, token)
            await administrator.call(administrator.organizations.ListOrganizations, LIST)
        async with running_api(store, bus) as client:
            await client.health(SERVING)
            assert ACCESS_TOKEN + "_" not in shown()


async def test_no_token_is_made_where_only_a_log_would_show_it(
    store: MongoStore,
    bus: InProcessBus,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_api(store, bus) as client:
        await client.health(SERVING)
    assert "set FEATMESH_BOOTSTRAP_TOKEN_FILE" in caplog.text
    assert ACCESS_TOKEN + "_" not in caplog.text + capsys.readouterr().out
    path = tmp_path / "token"
    async with running_api(store, bus, token_file=path) as client:
        await client.health(SERVING)
        administrator = ApiClient(client.channel, token_in(path))
        await administrator.call(administrator.organizations.ListOrganizations, LIST)
    caplog.clear()
    async with running_api(store, bus) as client:
        await client.health(SERVING)
    assert "FEATMESH_BOOTSTRAP_TOKEN_FILE" not in caplog.text, "there is one now"


async def test_the_bootstrap_token_can_go_to_a_file_of_its_owners_alone(
    store: MongoStore, bus: InProcessBus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "token"
    for _ in range(2):
        async with running_api(store, bus, token_file=path) as client:
            await client.health(SERVING)
            administrator = ApiClient(client.channel, token_in(path))
            await administrator.call(administrator.organizations.ListOrganizations, LIST)
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
    await make_access_token(store, "t", hash_secret(secret))
    try:
        async with running_api(far, bus, secret=secret) as client:
            await client.health(NOT_SERVING)
            early = await client.refused(client.organizations.ListOrganizations, LIST)
            assert early.code() == grpc.StatusCode.UNAVAILABLE
            await until_logged(caplog, "FEATMESH_MONGODB_URI (127.0.0.1:1) is not available")
            await proxy.open()
            await client.health(SERVING)
            await client.call(client.organizations.ListOrganizations, LIST)
            await proxy.cut()
            await client.health(NOT_SERVING)
            await proxy.open()
            await client.health(SERVING)
    finally:
        await far.close()
        await proxy.cut()
    assert "secret" not in caplog.text
