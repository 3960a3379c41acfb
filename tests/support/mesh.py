"""The services as real processes, as an operator would start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.request import urlopen

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from tests.support.ports import free_address
from tests.support.waiting import PATIENCE, eventually

ROOT: Final = Path(__file__).resolve().parents[2]
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING

DIES_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL")
"""Has the kernel end the program with the thread that started it, however that ends."""

_LASTING_THREAD: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="services")
"""Ends with this process; those in which tests wait end with their loops."""


def children_of(pid: int) -> set[int]:
    """The running children of a process; none of one that is gone."""
    with suppress(FileNotFoundError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {int(child) for child in children}
    return set()


def is_running(pid: int) -> bool:
    """Whether the process is there, and more than an entry that waits to be read."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@dataclass
class ServiceProcess:
    """``python -m services.<name>`` with a log file, ready when its health says so.

    ``program`` runs another module in its place; ``launcher`` goes before the whole command.
    """

    name: str
    address: str
    variables: Mapping[str, str]
    log: Path
    arguments: Sequence[str] = ()
    program: str = ""
    launcher: Sequence[str] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Returns at once; see `wait_until_serving`."""
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("FEATMESH_")},
            **self.variables,
        }
        with self.log.open("ab") as log:
            program = ["-m", self.program or f"services.{self.name}", *self.arguments]
            self._process = _LASTING_THREAD.submit(
                subprocess.Popen[bytes],
                [*DIES_WITH_US, *self.launcher, sys.executable, *program],
                env=environment,
                cwd=self.log.parent,
                stdout=log,
                stderr=log,
                start_new_session=True,
            ).result()

    def another(self, log: Path) -> ServiceProcess:
        """A further replica of this service, with addresses of its own; not yet started."""
        address = free_address()
        own = {
            f"FEATMESH_{self.name.upper()}_LISTEN": address,
            "FEATMESH_METRICS_LISTEN": free_address(),
        }
        return ServiceProcess(self.name, address, {**self.variables, **own}, log)

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        assert self._process is not None
        return self._process.pid

    def wait_until_serving(self) -> None:
        """Follows the health service until it says SERVING; bounded.

        A worker that dies while it is asked leaves the question to the others.
        """
        deadline = time.monotonic() + PATIENCE
        while not self._says_serving(deadline):
            assert self.running, f"{self.name} has ended\n{self._log_end()}"

    def _says_serving(self, deadline: float) -> bool:
        """False when the connection ended without an answer, and there is time left."""
        with grpc.insecure_channel(self.address) as channel:
            request = health_pb2.HealthCheckRequest()
            watch = health_pb2_grpc.HealthStub(channel).Watch(
                request, timeout=max(deadline - time.monotonic(), 0), wait_for_ready=True
            )
            try:
                return any(answer.status == _SERVING for answer in watch)
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE and time.monotonic() < deadline:
                    return False
                text = f"{self.name} does not serve: {error}\n{self._log_end()}"
                raise AssertionError(text) from error
            finally:
                watch.cancel()

    def _log_end(self) -> str:
        return self.log.read_text(errors="replace")[-4_000:]

    def wait(self, seconds: float) -> int:
        """The exit code of a process that ends by itself."""
        assert self._process is not None
        return self._process.wait(seconds)

    def terminate(self) -> None:
        """SIGTERM, and returns at once; nothing happens to a process that has ended."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """SIGTERM, bounded; returns the exit code."""
        if self._process is None:
            return 0
        self.terminate()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"{self.name} did not stop on SIGTERM") from None

    def kill(self) -> None:
        """SIGKILL: a crash, of its workers too; all are gone on return."""
        if self._process is None:
            return
        workers = children_of(self._process.pid)
        for pid in (self._process.pid, *workers):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        eventually(lambda: not any(map(is_running, workers)))

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None


@dataclass
class Mesh:
    """Running services and what is needed to talk to them."""

    api: str
    evaluation: str
    processes: Sequence[ServiceProcess]
    token_file: Path
    metrics: Sequence[str] = ()
    """Addresses at which metrics are served."""

    @property
    def token(self) -> str:
        """The bootstrap administrator's token."""
        return self.token_file.read_text().strip()

    def start(self) -> None:
        """All processes at once, then waits for each to serve."""
        for process in self.processes:
            process.start()
        for process in self.processes:
            process.wait_until_serving()

    def stop(self) -> list[int]:
        """In reverse order; returns the exit codes."""
        return [process.stop() for process in reversed(self.processes)]

    def featmesh(self, *arguments: str, **variables: str) -> str:
        """Runs the command line as an operator; returns what it printed."""
        run = subprocess.run(
            [str(Path(sys.executable).with_name("featmesh")), *arguments],
            env={
                **os.environ,
                "FEATMESH_API": self.api,
                "FEATMESH_EVALUATION": self.evaluation,
                "FEATMESH_TOKEN": self.token,
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def scraped(self) -> dict[str, float]:
        """Samples of all metrics that have no label or one; the sum where several serve it.

        Which worker serves one is passed over.
        """
        samples: dict[str, float] = {}
        for address in self.metrics:
            with urlopen(f"http://{address}/metrics", timeout=PATIENCE) as answer:
                families = text_string_to_metric_families(answer.read().decode())
                for sample in (each for family in families for each in family.samples):
                    labels = [text for key, text in sample.labels.items() if key != "worker"]
                    name = " ".join([sample.name, *labels])
                    samples[name] = samples.get(name, 0) + sample.value
        return samples

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Authorization of management calls."""
        return (("authorization", f"Bearer {self.token}"),)


def three_services(
    folder: Path,
    *,
    mongodb: str,
    database: str,
    amqp: str,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Mesh:
    """api, evaluation and ingest on a real MongoDB and RabbitMQ, not yet started."""
    addresses = {name: free_address() for name in ("api", "evaluation", "ingest")}
    metrics = {name: free_address() for name in addresses}
    token_file = folder / "token"
    shared = {
        "FEATMESH_MONGODB_URI": mongodb,
        "FEATMESH_MONGODB_DATABASE": database,
        "FEATMESH_AMQP_URL": amqp,
        "FEATMESH_BOOTSTRAP_TOKEN_FILE": str(token_file),
        "FEATMESH_DRAIN_DELAY_SECONDS": "0",
        "FEATMESH_DRAIN_WINDOW_SECONDS": "1",
        **variables,
    }
    processes = [
        ServiceProcess(
            name,
            address,
            {
                **shared,
                f"FEATMESH_{name.upper()}_LISTEN": address,
                "FEATMESH_METRICS_LISTEN": metrics[name],
            },
            folder / f"{name}.log",
        )
        for name, address in addresses.items()
    ]
    served = tuple(metrics.values())
    return Mesh(addresses["api"], addresses["evaluation"], processes, token_file, served)


def standalone(folder: Path) -> Mesh:
    """The three services in one process with an embedded mongod, not yet started."""
    addresses = {name: free_address() for name in ("api", "evaluation", "ingest")}
    data, metrics = folder / "data", free_address()
    variables = {
        "FEATMESH_METRICS_LISTEN": metrics,
        "FEATMESH_DATA_DIR": str(data),
        "FEATMESH_BOOTSTRAP_TOKEN_FILE": str(folder / "token"),
        **{f"FEATMESH_{name.upper()}_LISTEN": address for name, address in addresses.items()},
    }
    process = ServiceProcess("standalone", addresses["api"], variables, folder / "standalone.log")
    token_file = folder / "token"
    return Mesh(addresses["api"], addresses["evaluation"], [process], token_file, [metrics])


def call(method: Any, request: Any, mesh: Mesh) -> Any:
    """A management call with the administrator's token and a deadline."""
    return method(request, metadata=mesh.metadata(), timeout=PATIENCE)
