"""Makes a real mongod answer commands with errors: its own fail points, for one client."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from pymongo.errors import OperationFailure

from services.storage.mongodb.driver.client import Connection, utc_now
from tests.support.shared import exclusive

OUT_OF_DISK_SPACE: Final = 14_031
QUOTA_EXCEEDED: Final = 12_501
NOT_WRITABLE_PRIMARY: Final = 10_107
PRIMARY_STEPPED_DOWN: Final = 189

CLIENT: Final = f"refused-{os.getpid()}"
"""The ``appName`` of the client whose commands fail; no other process's of the run do."""

_NO_SUCH_COMMAND: Final = 59


def refused_uri(uri: str) -> str:
    """For the client whose commands fail."""
    return f"{uri}{'&' if '?' in uri else '?'}appName={CLIENT}"


@asynccontextmanager
async def failing(
    uri: str, commands: Sequence[str], code: int, *, times: int = 0, after: int = 0
) -> AsyncIterator[None]:
    """``commands`` of `CLIENT` are answered with an error's code, always or so many times.

    The first ``after`` of them are not; then all others are.

    One at a time of all tests: a mongod has one fail point for commands.
    Skips the test on a MongoDB that was not started with ``enableTestCommands``.
    """
    connection = Connection(uri, "admin", utc_now)
    try:
        mode: Any = {"times": times} if times else {"skip": after} if after else "alwaysOn"
        data = {"failCommands": list(commands), "errorCode": code, "appName": CLIENT}
        async with exclusive("fail-point"):
            await _configure(connection, mode, data)
            try:
                yield
            finally:
                await _configure(connection, "off", {})
    finally:
        await connection.close()


async def _configure(connection: Connection, mode: Any, data: dict[str, Any]) -> None:
    command = {"configureFailPoint": "failCommand", "mode": mode, "data": data}
    try:
        await connection.database.command(command)
    except OperationFailure as error:
        if error.code != _NO_SUCH_COMMAND:
            raise
        pytest.skip("this MongoDB was started without enableTestCommands")
