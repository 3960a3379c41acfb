"""Programs that the benchmark talks to: JSON lines in, JSON lines out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.load.machine import ROOT

PATIENCE: Final = 180.0
"""Seconds after which a program will not answer any more."""

_LINE_BYTES: Final = 4 * 1024 * 1024
_STOP_SECONDS: Final = 10.0


class ChildError(Exception):
    """A program ended, or refused what it was told; the text says why."""


class Child:
    """A running program that answers each line with one line."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process

    async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Sends a command; its answer. Raises `ChildError`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return await self.read()

    async def read(self) -> dict[str, Any]:
        """The next line. Raises `ChildError`."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        if not line:
            raise ChildError(f"{self.name} has ended; its own words stand above")
        answer: dict[str, Any] = json.loads(line)
        if error := answer.get("error"):
            raise ChildError(f"{self.name}: {error}")
        return answer

    async def stop(self) -> None:
        """Ends its input, then waits; bounded."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def running(
    name: str, command: Sequence[str | Path], *, folder: Path = ROOT
) -> AsyncIterator[Child]:
    """The program while entered. What it says on standard error is shown."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
    )
    child = Child(name, process)
    try:
        yield child
    finally:
        await child.stop()
