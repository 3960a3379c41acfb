"""The life of a service's process: configure, start, wait for a signal, stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn, Protocol

import uvloop

from services.runtime.config import ConfigError
from services.runtime.errors import MeshError
from services.runtime.logs import configure_logs
from services.runtime.server import ListenError
from services.runtime.tasks import Tasks

log = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_CONFIG = 2


class App(Protocol):
    """A service as its `app.py` composes it."""

    tasks: Tasks

    @property
    def stop_seconds(self) -> float:
        """How long `stop` may take."""
        ...

    async def start(self) -> None:
        """Listens on return; becomes ready by itself, whenever its parts are there."""
        ...

    async def stop(self) -> None:
        """Drains and stops; leaves no task behind."""
        ...


def run(compose: Callable[[], Awaitable[App]]) -> None:
    """Runs the program until SIGTERM or SIGINT; exits 1 on a crash, 2 on wrong settings.

    After `App.stop_seconds` it ends in any case.
    """
    try:
        configure_logs()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            _leave(runner.run(_serve(compose)))
    except ConfigError as error:
        _say("Wrong settings:", *error.faults)
        code = EXIT_CONFIG
    except ListenError as error:
        _say(str(error))
        code = EXIT_FAILED
    sys.exit(code)


def run_once(command: Callable[[], Awaitable[str]]) -> NoReturn:
    """Runs an operator's command and prints its outcome; exits 1 on a failure, 2 on wrong settings.

    Failures are those that a `MeshError` tells of.
    """
    code = 0
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(runner.run(_awaited(command)))  # noqa: T201 -- its outcome
    except ConfigError as error:
        _say("Wrong settings:", *error.faults)
        code = EXIT_CONFIG
    except MeshError as error:
        _say(error.message)
        code = EXIT_FAILED
    sys.exit(code)


async def _awaited(command: Callable[[], Awaitable[str]]) -> str:
    return await command()


async def _serve(compose: Callable[[], Awaitable[App]]) -> int:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    app = await compose()
    try:
        await app.start()
        await _first(asked, app.tasks.crashed)
    finally:
        await _stop(app)
    return EXIT_FAILED if app.tasks.crashed.is_set() else 0


async def _stop(app: App) -> None:
    stopping = asyncio.create_task(app.stop())
    # Not a timeout: what is cancelled may wait again, for a store that does not answer.
    done, _ = await asyncio.wait({stopping}, timeout=app.stop_seconds)
    if done:
        await stopping
        log.info("stopped")
    else:
        log.warning("not stopped within %g s; what is left is given up", app.stop_seconds)


def _leave(code: int) -> NoReturn:
    """Ends without the driver's threads: they wait for a store that does not answer for 20 s."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


def _say(*lines: str) -> None:
    print(*lines, sep="\n  ", file=sys.stderr)  # noqa: T201 -- before and instead of any log
