from __future__ import annotations

import asyncio
import socket
import time

import pytest

from services.runtime.errors import StoreUnavailable
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, address_of, utc_now
from services.storage.mongodb.migrations import INDEXES
from tests.integration.storage.records import NOON, change, create, flag
from tests.support.mongodb import fresh_database_name
from tests.support.observations import see_users
from tests.support.ports import free_address
from tests.support.proxy import TcpProxy
from tests.support.resources import read_environment

FAST_SECONDS = 5.0


async def test_a_store_that_is_down_is_said_so_quickly_and_without_credentials() -> None:
    address = free_address()
    store = MongoStore.open(f"mongodb://ada:s3cret@{address}/?replicaSet=rs0")
    started = time.monotonic()
    outcomes = await asyncio.gather(
        store.ping(),
        store.migrate(),
        read_environment(store, "e"),
        store.definitions.read_changes("e", 1),
        store.resources.commit(change("e", *create(flag("a")))),
        store.outbox.list_outbox(1),
        see_users(store, "e", [], NOON),
        store.credentials.find_sdk_key("hash"),
        return_exceptions=True,
    )
    assert time.monotonic() - started < FAST_SECONDS
    await store.close()
    errors = [outcome for outcome in outcomes if outcome is not None]
    assert len(errors) == 7
    for error in errors:
        assert isinstance(error, StoreUnavailable)
        assert address in error.message
        assert "s3cret" not in error.message
        assert "ada" not in error.message


async def test_a_store_that_accepts_and_never_answers_fails_its_ping_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = MongoStore.open(f"mongodb://127.0.0.1:{port}/?directConnection=true")
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.ping()
        assert time.monotonic() - started < FAST_SECONDS
        await store.close()


async def test_reads_that_are_made_all_the_time_give_up_soon_on_a_store_that_stopped_answering(
    mongodb_uri: str,
) -> None:
    """As when a network swallows what is sent: the driver alone would wait for 20 seconds."""
    proxy, _ = await TcpProxy.in_front_of(mongodb_uri)
    store = MongoStore.open(f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true")
    try:
        assert await store.definitions.read_heads(["e"]) == {}
        proxy.hold()
        for read in (store.definitions.read_heads, store.credentials.good_sdk_keys):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await read(["e"])
            assert time.monotonic() - started < FAST_SECONDS
    finally:
        proxy.release()
        await store.close()
        await proxy.cut()


async def test_a_closed_store_is_unavailable(mongodb_uri: str) -> None:
    store = MongoStore.open(mongodb_uri)
    await store.ping()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.outbox.list_outbox(1)


@pytest.mark.parametrize(
    "uri",
    ["", "db:27017", "postgres://db", "mongodb://ada:s3cret@host:port", "mongodb://ada:s3/cret@db"],
)
async def test_a_malformed_uri_is_refused_without_being_quoted(uri: str) -> None:
    with pytest.raises(ValueError, match="not a valid MongoDB connection string") as refusal:
        MongoStore.open(uri)
    assert "s3" not in str(refusal.value)


def test_an_address_has_no_credentials_and_no_options() -> None:
    assert address_of("mongodb://u:p%40@a:1,b:2/db?w=1") == "a:1,b:2"
    assert address_of("mongodb+srv://u:p@cluster.example.net?w=1") == "cluster.example.net"


async def test_an_option_in_the_uri_goes_before_our_own(mongodb_uri: str) -> None:
    connection = Connection(f"{mongodb_uri}&maxPoolSize=7", "none", utc_now)
    options = connection.client.delegate.options.pool_options
    await connection.close()
    assert options.max_pool_size == 7


async def test_several_processes_may_migrate_at_once(mongodb_uri: str) -> None:
    database_name = fresh_database_name()
    stores = [MongoStore.open(mongodb_uri, database=database_name) for _ in range(3)]
    await asyncio.gather(*(store.migrate() for store in stores))
    await stores[0].migrate()
    connection = Connection(mongodb_uri, database_name, utc_now)
    names = set(await connection.database.list_collection_names())
    await connection.close()
    await stores[0].drop()
    for store in stores:
        await store.close()
    assert names == {*INDEXES, "schema"}
