"""A worker's line to its supervisor: says whether it is ready, hears whether all are.

The line is a socket that the supervisor opened before it started the worker. Each side sends
words, one in each line: `READY`, `NOT_READY`, and a worker the port of its metrics. The end
of the socket means that the other side is gone.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

FD_VARIABLE: Final = "FEATMESH_WORKER_FD"
"""Set by a supervisor for its workers, and by nobody else."""

READY: Final = b"ready\n"
NOT_READY: Final = b"not-ready\n"

_METRICS: Final = b"metrics "


class SupervisorChannel:
    """One worker's end of the line."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._ready = False
        self._metrics_port = 0
        self._writer: asyncio.StreamWriter | None = None

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> SupervisorChannel | None:
        """The line that a supervisor left open for this process; None without one."""
        number = variables.get(FD_VARIABLE, "")
        if not number:
            return None
        os.environ.pop(FD_VARIABLE, None)  # it is not for this process's own children
        return cls(socket.socket(fileno=int(number)))

    async def follow(self, on_overall: Callable[[bool], Awaitable[None]]) -> None:
        """Passes on whether the whole service is ready; returns when the supervisor is gone."""
        reader, self._writer = await asyncio.open_connection(sock=self._line)
        self.report_metrics(self._metrics_port)
        self.report(self._ready)
        while word := await reader.readline():
            await on_overall(word == READY)

    def report(self, ready: bool) -> None:
        """Tells the supervisor, as soon as `follow` has opened the line."""
        self._ready = ready
        self._say(READY if ready else NOT_READY)

    def report_metrics(self, port: int) -> None:
        """Tells where on the loopback interface this worker's metrics are; 0 for nowhere."""
        self._metrics_port = port
        self._say(metrics_word(port))

    def _say(self, word: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(word)


def metrics_word(port: int) -> bytes:
    """What a worker says of its metrics."""
    return b"%s%d\n" % (_METRICS, port)


def metrics_port(word: bytes) -> int | None:
    """The port that a worker tells of; None for another word."""
    return int(word.removeprefix(_METRICS)) if word.startswith(_METRICS) else None
