"""A private RabbitMQ node on free ports, and the fixture that every test shares it by."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from tests.support.ports import free_port
from tests.support.shared import address_of

VARIABLE: Final = "FEATMESH_TEST_AMQP_URL"

RABBITMQ: Final = "rabbitmq"
"""Its name among the servers of a run."""

VIRTUAL_HOSTS: Final = tuple(f"gw{number}" for number in range(8))
"""Named as xdist names its workers."""

_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_START_TIMEOUT = 90.0
_STOP_TIMEOUT = 20.0
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"

_INSTALL = """
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends rabbitmq-server
systemctl disable rabbitmq-server >/dev/null 2>&1 || true
"""
"""The policy file keeps the package from starting a service of the system's own."""


class RabbitMqNode:
    """A real node with its own epmd; both die with the process that started them.

    `stop` and `start` again keep ports and data, so that a test can take the broker away.
    """

    def __init__(self, virtual_hosts: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self._folder = Path(tempfile.mkdtemp(prefix="featmesh-rabbitmq-"))
        self._epmd_port = free_port()
        self._virtual_hosts = virtual_hosts
        self._environment = self._make_environment()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when the node speaks AMQP."""
        ensure_installed()
        epmd = ["epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port)]
        self._epmd = self._epmd or self._spawn(epmd)
        self._server = self._spawn([str(_SERVER)])
        self._wait_until_ready(self._server)

    def stop(self, *, hard: bool = False) -> None:
        """End the broker; ``hard`` is a crash."""
        server, self._server = self._server, None
        if server is not None:
            _end(server, signal.SIGKILL if hard else signal.SIGTERM)

    def restart(self, *, hard: bool = False) -> None:
        """The same node again, with its data and on its ports."""
        self.stop(hard=hard)
        self.start()

    def reset(self) -> None:
        """The same node again on its ports, with nothing in it: exchanges, queues, messages."""
        self.stop(hard=True)
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        self.start()

    def remove(self) -> None:
        """End everything and delete the data."""
        self.stop(hard=True)
        epmd, self._epmd = self._epmd, None
        if epmd is not None:
            _end(epmd, signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make_environment(self) -> dict[str, str]:
        folder = self._folder
        (folder / "plugins").write_text("[].\n")
        (folder / "env.conf").touch()
        (folder / "definitions.json").write_text(json.dumps(_definitions(self._virtual_hosts)))
        (folder / "rabbitmq.conf").write_text(f"load_definitions = {folder / 'definitions.json'}\n")
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_"))}
        return {
            **inherited,
            "HOME": str(folder),  # the Erlang cookie lives there
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the node: one process to end
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"featmesh-{uuid4().hex[:8]}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"+S 2:2 +sbwt none {loopback}",
        }

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        """`setpriv` has the kernel end the child with us, however we end."""
        with (self._folder / "output").open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_until_ready(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while not _speaks_amqp(self.port):
            if server.poll() is not None or time.monotonic() > deadline:
                output = (self._folder / "output").read_text(errors="replace")[-4000:]
                self.remove()
                raise RuntimeError(f"RabbitMQ did not start:\n{output}")
            time.sleep(0.05)


@contextmanager
def rabbitmq_node(virtual_hosts: Sequence[str] = ()) -> Iterator[RabbitMqNode]:
    """A node that runs within the context, with these virtual hosts beside the first."""
    node = RabbitMqNode(virtual_hosts)
    try:
        node.start()
        yield node
    finally:
        node.remove()


@pytest.fixture(scope="session")
def amqp_url() -> str:
    """A real broker: `FEATMESH_TEST_AMQP_URL`, else the virtual host that this process has.

    The services' exchanges and queues have fixed names, so that two meshes share what they hold.
    """
    if given := os.environ.get(VARIABLE):
        return given
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    return f"{address_of(RABBITMQ)}{worker}"


def refuse_workers_on_a_given_broker(processes: int | None) -> None:
    """Raises `pytest.UsageError`: only a broker of our own has a virtual host for each."""
    if os.environ.get(VARIABLE) and processes:
        raise pytest.UsageError(f"{VARIABLE} needs a run in one process: make test WORKERS=0")


@contextmanager
def broker_for_workers(_folder: Path) -> Iterator[str]:
    """A node with a virtual host for each process that there may be; the URL of the first."""
    with rabbitmq_node(VIRTUAL_HOSTS) as node:
        yield node.url


def ensure_installed() -> None:
    """Install Debian's package when it is missing and we may; else say what to do."""
    if _SERVER.exists():
        return
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get") or not _may_run(root):
        raise RuntimeError(
            "The tests need RabbitMQ. Install it (sudo apt-get install -y rabbitmq-server) "
            f"or name a running broker: {VARIABLE}=amqp://guest:guest@127.0.0.1:5672/"
        )
    print(
        "Installing rabbitmq-server with apt-get (once; a minute or two) ...", file=sys.__stderr__
    )
    done = subprocess.run(
        [*root, "sh", "-c", _INSTALL], check=False, capture_output=True, text=True
    )
    if done.returncode or not _SERVER.exists():
        raise RuntimeError(f"rabbitmq-server could not be installed:\n{done.stderr[-2000:]}")


def _definitions(virtual_hosts: Sequence[str]) -> dict[str, object]:
    """What a new node has: RabbitMQ makes its usual user and host only where nothing is defined."""
    everything = {"user": "guest", "configure": ".*", "write": ".*", "read": ".*"}
    hosts = ("/", *virtual_hosts)
    return {
        "users": [{"name": "guest", "password": "guest", "tags": ""}],
        "vhosts": [{"name": host} for host in hosts],
        "permissions": [{**everything, "vhost": host} for host in hosts],
    }


def _may_run(root: list[str]) -> bool:
    with suppress(OSError):
        return subprocess.run([*root, "true"], check=False, capture_output=True).returncode == 0
    return False


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Bounded; the whole session goes, so that no child is left."""
    process.send_signal(how)
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_TIMEOUT)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _speaks_amqp(port: int) -> bool:
    """A method frame (1) answers the protocol header."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(_PROTOCOL_HEADER)
            return connection.recv(1) == b"\x01"
    except OSError:
        return False
