"""A worker's line to its supervisor: says whether it is ready, hears whether all are.

The line is a socket that the supervisor opened before it started the worker. Each side sends
single bytes, `READY` or `NOT_READY`. Its end means that the other side is gone.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

FD_VARIABLE: Final = "FEATMESH_WORKER_FD"
"""Set by a supervisor for its workers, and by nobody else."""

READY: Final = b"1"
NOT_READY: Final = b"0"


class WorkerLink:
    """One worker's end of the line."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._ready = False
        self._writer: asyncio.StreamWriter | None = None

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> WorkerLink | None:
        """The line that a supervisor left open for this process; None without one."""
        number = variables.get(FD_VARIABLE, "")
        if not number:
            return None
        os.environ.pop(FD_VARIABLE, None)  # it is not for this process's own children
        return cls(socket.socket(fileno=int(number)))

    async def follow(self, on_overall: Callable[[bool], Awaitable[None]]) -> None:
        """Passes on whether the whole service is ready; returns when the supervisor is gone."""
        reader, self._writer = await asyncio.open_connection(sock=self._line)
        self.report(self._ready)
        while heard := await reader.read(64):
            await on_overall(heard[-1:] == READY)

    def report(self, ready: bool) -> None:
        """Tells the supervisor, as soon as `follow` has opened the line."""
        self._ready = ready
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(READY if ready else NOT_READY)
