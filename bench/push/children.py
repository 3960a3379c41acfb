"""Programs that the benchmark talks to: JSON lines in, JSON lines out."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from bench.machine import ROOT

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
    name: str, command: Sequence[str | Path], *, is_polite: bool = False, folder: Path = ROOT
) -> AsyncIterator[Child]:
    """The program while entered. What it says on standard error is shown.

    One that ``is_polite`` interrupts nobody when something arrives for it (SCHED_BATCH): it
    has a core when one is free, and its fair share of those that are not.
    """
    with _politeness() if is_polite else nullcontext():
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


@contextmanager
def _politeness() -> Iterator[None]:
    """What is started meanwhile inherits it, with every thread that it will have."""
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
