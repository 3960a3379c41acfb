"""One mongod and one RabbitMQ node for all processes of a run, each started when a test first asks.

They belong to the process that pytest was started in, xdist's controller: workers end one after
the other, and the kernel ends a server together with the thread that started it.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

_VARIABLE: Final = "FEATMESH_TEST_SERVERS"
"""The folder of a run's sockets and locks, for workers."""

_START_SECONDS: Final = 120.0
"""How long an answer may take, the start of the server included."""

Server = Callable[[Path], AbstractContextManager[str]]
"""Runs a server with its data in a folder; its address."""


@contextmanager
def offered(servers: dict[str, Server]) -> Iterator[None]:
    """Within the context this process and its workers may ask for these servers."""
    folder = Path(tempfile.mkdtemp(prefix="featmesh-tests-"))
    os.environ[_VARIABLE] = str(folder)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(os.environ.pop, _VARIABLE, None)
        for name, server in servers.items():
            stack.callback(_Offer(folder, name, server).close)
        yield


def address_of(name: str) -> str:
    """Of the run's server of this name, once it serves; raises `RuntimeError` if it does not."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_START_SECONDS)
        connection.connect(str(_folder() / f"{name}.socket"))
        with connection.makefile() as file:
            answer = json.load(file)
    if "fault" in answer:
        raise RuntimeError(answer["fault"])
    return str(answer["address"])


@asynccontextmanager
async def exclusive(name: str) -> AsyncIterator[None]:
    """One at a time of all processes of the run: for what is global to a shared server."""
    with (_folder() / f"{name}.lock").open("w") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield


def _folder() -> Path:
    return Path(os.environ[_VARIABLE])


class _Offer:
    """A socket that answers with the server's address, and a thread in which the server lives."""

    def __init__(self, folder: Path, name: str, server: Server) -> None:
        self._data, self._server = folder / name, server
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(folder / f"{name}.socket"))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the server, too."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        with ExitStack() as running:
            answer: dict[str, str] = {}
            while (connection := self._next()) is not None:
                with connection:
                    answer = answer or self._started(running)
                    connection.sendall(json.dumps(answer).encode())

    def _started(self, running: ExitStack) -> dict[str, str]:
        try:
            return {"address": running.enter_context(self._server(self._data))}
        except Exception as error:  # noqa: BLE001 - whoever asks is told
            return {"fault": f"{type(error).__name__}: {error}"}

    def _next(self) -> socket.socket | None:
        try:
            return self._socket.accept()[0]
        except OSError:  # closed
            return None
