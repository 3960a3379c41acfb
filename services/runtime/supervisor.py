"""Several processes of one service on one port, and the one that keeps them running.

The kernel spreads connections over the workers (SO_REUSEPORT). A worker that dies is started
anew with back-off; one whose supervisor dies stops by itself. Health is one answer: each worker
answers what the supervisor has made of all. Metrics are one page, the supervisor's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.runtime.backoff import full_jitter
from services.runtime.config import Address
from services.runtime.metrics import MetricsServer
from services.runtime.server import ListenError
from services.runtime.settings import ServerSettings
from services.runtime.supervisor_channel import FD_VARIABLE, NOT_READY, READY, metrics_port
from services.runtime.tasks import Tasks
from services.runtime.worker_metrics import WorkerMetrics

log = logging.getLogger(__name__)

BACKOFF_LOW: Final = 0.5
BACKOFF_HIGH: Final = 30.0
HEALTHY_SECONDS: Final = 60.0
"""A worker that lived for so long is started anew without a memory of earlier deaths."""

RESERVE_SECONDS: Final = 3.0
RESERVE_PAUSE: Final = 0.1

KILL_SECONDS: Final = 1.0
"""After its time to stop that a worker gets to end before it is killed."""


@dataclass(slots=True, eq=False)
class _Worker:
    index: int
    process: asyncio.subprocess.Process
    line: asyncio.StreamWriter
    ready: bool = False
    was_ready: bool = False


@dataclass(slots=True, eq=False)
class _WorkerTable:
    """Where the workers of each index are; empty between a death and the next start."""

    workers: dict[int, _Worker] = field(default_factory=dict)

    @property
    def serving(self) -> bool:
        """All that were ready once still are, and one at least is.

        One that has just been started takes no service away from the others.
        """
        seasoned = [each for each in self.workers.values() if each.was_ready]
        return bool(seasoned) and all(each.ready for each in seasoned)


class Supervisor:
    """See the module. An `App` for `services.runtime.program.run`.

    Args:
        command: What starts a worker.
        variables: Environment of the workers.
        count: How many.
        server: Where to listen, how long a worker takes to drain, and where metrics are.
        listen_variable: For example ``FEATMESH_EVALUATION_LISTEN``, which holds the real port
            for the workers.
    """

    def __init__(
        self,
        *,
        command: Sequence[str],
        variables: Mapping[str, str],
        count: int,
        server: ServerSettings,
        listen_variable: str,
    ) -> None:
        self.tasks = Tasks()
        self.port = 0
        self.metrics = WorkerMetrics()
        self._command = tuple(command)
        self._variables = dict(variables)
        self._count = count
        self._listen = server.listen
        self._listen_variable = listen_variable
        self._stop_after = server.stop_seconds + KILL_SECONDS
        self._metrics_server = MetricsServer(server.metrics, [self.metrics], process=False)
        self._places = _WorkerTable()
        self._reserved: socket.socket | None = None
        self._told: bool | None = None

    @property
    def stop_seconds(self) -> float:
        """That of its workers, and a moment more to see them end."""
        return self._stop_after + KILL_SECONDS

    async def start(self) -> None:
        """Reserves the port and starts the workers; raises `ListenError`."""
        self._reserved = await _reserve(self._listen)
        self.port = self._reserved.getsockname()[1]
        self._variables[self._listen_variable] = str(Address(self._listen.host, self.port))
        self._metrics_server.start()
        for index in range(self._count):
            self.tasks.start(self._keep(index), f"worker {index}")

    async def stop(self) -> None:
        """Has every worker drain and end; one that does not is killed."""
        workers = tuple(self._places.workers.values())
        await self.tasks.close()
        await asyncio.gather(*(self._end(each) for each in workers))
        await self._metrics_server.stop()
        if self._reserved is not None:
            self._reserved.close()

    async def _keep(self, index: int) -> None:
        loop = asyncio.get_running_loop()
        waits = full_jitter(BACKOFF_LOW, BACKOFF_HIGH)
        while True:
            started = loop.time()
            code = await self._run_one(index)
            if loop.time() - started > HEALTHY_SECONDS:
                waits = full_jitter(BACKOFF_LOW, BACKOFF_HIGH)
            wait = next(waits)
            log.error("worker %d ended with code %d; anew in %.1f s", index, code, wait)
            await asyncio.sleep(wait)
            self.metrics.restarts += 1

    async def _run_one(self, index: int) -> int:
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._variables | {FD_VARIABLE: str(theirs.fileno())},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # a Ctrl-C is for the supervisor, which passes it on
            )
        worker = self._places.workers[index] = _Worker(index, process, writer)
        self.metrics.running = len(self._places.workers)
        log.info("worker %d runs as process %d", index, process.pid)
        self._tell(worker)
        try:
            await self._listen_to(worker, reader)
            code = await process.wait()
        finally:
            if self._places.workers.get(index) is worker:
                del self._places.workers[index]
            self.metrics.serves(index, 0)
            self.metrics.running = len(self._places.workers)
        writer.close()
        self._announce()
        return code

    async def _listen_to(self, worker: _Worker, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while word := await reader.readline():
                self._hear(worker, word)

    def _hear(self, worker: _Worker, word: bytes) -> None:
        port = metrics_port(word)
        if port is not None:
            self.metrics.serves(worker.index, port)
            return
        worker.ready = word == READY
        worker.was_ready = worker.was_ready or worker.ready
        self._announce()

    def _announce(self) -> None:
        serving = self._places.serving
        if serving is self._told:
            return
        self._told = serving
        log.info("%s", "SERVING" if serving else "NOT_SERVING")
        for worker in self._places.workers.values():
            self._tell(worker)

    def _tell(self, worker: _Worker) -> None:
        if not worker.line.is_closing():
            worker.line.write(READY if self._told else NOT_READY)

    async def _end(self, worker: _Worker) -> None:
        process = worker.process
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._stop_after):
                await process.wait()
        except TimeoutError:
            log.error("process %d did not stop and is killed", process.pid)
            process.kill()
            await process.wait()
        worker.line.close()


def worker_command(service: str) -> tuple[str, ...]:
    """What starts this service once more."""
    return (sys.executable, "-m", service)


async def _reserve(listen: Address) -> socket.socket:
    """The port, held; a port in use gets a moment, for workers whose supervisor has died."""
    attempts = int(RESERVE_SECONDS / RESERVE_PAUSE)
    for _ in range(attempts):
        with contextlib.suppress(ListenError):
            return _reserve_now(listen)
        await asyncio.sleep(RESERVE_PAUSE)
    return _reserve_now(listen)


def _reserve_now(listen: Address) -> socket.socket:
    """Holds the port, so that nobody else gets it while no worker listens; never listens itself.

    Whoever listens there already would be joined silently; so the port is asked for alone first.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((listen.host, listen.port))
            address = probe.getsockname()[:2]
        held = socket.socket(family)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except OSError as error:
        raise ListenError(f"cannot listen on {listen}") from error
    return held
