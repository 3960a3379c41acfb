"""Makes a single mongod the primary of a replica set of its own.

Transactions and snapshot reads need a replica set; one node is enough.
"""

from __future__ import annotations

import asyncio
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

REPLICA_SET = "rs0"

_NOT_YET_INITIALIZED = 94
_ALREADY_INITIALIZED = 23
_PAUSE_SECONDS = 0.05
_PATIENCE_MS = 2_000


class ReplicaSetError(Exception):
    """The node did not become primary; the message says what is in the way."""


async def ensure_primary(address: str, *, timeout_seconds: float = 30.0) -> str:
    """Wait until the mongod at ``address`` (``host:port``) is primary; return its URI.

    A new node is initiated; one that was initiated under another address (it has a new
    port) is reconfigured. Raises `ReplicaSetError`.
    """
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        f"mongodb://{address}/",
        directConnection=True,
        serverSelectionTimeoutMS=_PATIENCE_MS,
        connectTimeoutMS=_PATIENCE_MS,
        socketTimeoutMS=_PATIENCE_MS,
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            await _until_primary(client, address)
    except TimeoutError:
        message = f"mongod at {address} was not primary after {timeout_seconds:.0f} s"
        raise ReplicaSetError(message) from None
    except PyMongoError as error:
        message = f"mongod at {address} cannot be made a replica set: {error}"
        raise ReplicaSetError(message) from error
    finally:
        await asyncio.to_thread(client.close)
    return f"mongodb://{address}/?replicaSet={REPLICA_SET}"


async def _until_primary(client: AsyncIOMotorClient[dict[str, Any]], address: str) -> None:
    while True:
        try:
            if await _has_config(client, address):
                hello = await client.admin.command("hello")
                if hello.get("isWritablePrimary"):
                    return
        except ConnectionFailure:
            pass  # still starting, or changing its role: asked again below
        await asyncio.sleep(_PAUSE_SECONDS)


async def _has_config(client: AsyncIOMotorClient[dict[str, Any]], address: str) -> bool:
    """Whether the node's configuration names it at ``address``; if not, write one."""
    try:
        config = (await client.admin.command("replSetGetConfig"))["config"]
    except OperationFailure as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise
        await _initiate(client, address)
        return False
    if [member["host"] for member in config["members"]] == [address]:
        return True
    config["members"] = [{"_id": 0, "host": address}]
    config["version"] += 1
    # By force: a node that does not find itself in its configuration has no primary to ask.
    await client.admin.command("replSetReconfig", config, force=True)
    return False


async def _initiate(client: AsyncIOMotorClient[dict[str, Any]], address: str) -> None:
    config = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": address}]}
    try:
        await client.admin.command("replSetInitiate", config)
    except OperationFailure as error:
        if error.code != _ALREADY_INITIALIZED:
            raise
