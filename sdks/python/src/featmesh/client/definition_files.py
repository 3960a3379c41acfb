"""Definitions in files: the bootstrap that people read, and the cache that nobody does."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from pathlib import Path

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from featmesh.client.once import OnceLogger
from featmesh.client.timing import Timing
from featmesh.engine.snapshot import Snapshot
from featmesh.errors import ProtocolError
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import (
    MAX_CHANGE_SET_BYTES,
    DefinitionAssembler,
    DefinitionChanges,
    flag_to_proto,
    segment_to_proto,
)

logger = logging.getLogger(__name__)
once = OnceLogger(logger)

CACHE_INTERVAL = 10.0
"""Seconds between two writes of a cache; what changes in between is written at the end."""

_MAGIC = b"featmesh-definitions 2\n"
"""What a cache file begins with: a format of another number is not read.

It is raised when the SDK learns to read more of an item: what an older one dropped must be
fetched anew, whatever token stands in its file.
"""

_DIGEST_BYTES = hashlib.sha256().digest_size


def read_bootstrap(path: str | os.PathLike[str]) -> DefinitionChanges:
    """Reads a DefinitionChangeSet in protobuf's JSON mapping; only its items are needed.

    Raises:
        ValueError: There is no such file, it is larger than 64 MiB, or it holds something
            else.
    """
    try:
        text = _read_bounded(Path(path))
        message = json_format.Parse(text, sync_pb2.DefinitionChangeSet())
        message.kind, message.part, message.last = sync_pb2.CHANGE_KIND_FULL, 0, True
        message.ClearField("resume")  # people write this file; it holds nothing of the server's
        return _whole(message)
    except (OSError, ValueError, json_format.ParseError, ProtocolError) as error:
        shown = os.fspath(path)
        raise ValueError(f"the bootstrap file {shown!r} cannot be read: {error}") from error


def write_bootstrap(path: str | os.PathLike[str], snapshot: Snapshot) -> None:
    """Writes what `read_bootstrap` reads; OSError if it cannot."""
    text = json_format.MessageToJson(_message(snapshot), indent=2)
    _replace(Path(path), text.encode())


class DefinitionCache:
    """The last definitions of one environment, kept for the next start.

    The file's name is a hash of address and SDK key; the key itself is written nowhere.
    Only the owner may read it. A file that cannot be read counts as none. Processes may
    share a directory: each write replaces the whole file.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, address: str, sdk_key: str, timing: Timing
    ) -> None:
        secret = hashlib.sha256(f"featmesh\0{address}\0{sdk_key}".encode()).hexdigest()
        self._path = Path(directory) / f"featmesh-{secret[:32]}.cache"
        self._monotonic = timing.monotonic
        self._written_at: float | None = None
        self._waiting: tuple[Snapshot, sync_pb2.ResumeToken | None] | None = None

    def read(self) -> DefinitionChanges | None:
        """What the last process left; None for nothing that can be used."""
        try:
            content = _read_bounded(self._path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            once.warning(f"read {self._path}", "the cache %s is not used: %s", self._path, error)
            return None
        try:
            return _whole(_decoded(content))
        except (ValueError, DecodeError, ProtocolError) as error:
            once.warning(f"read {self._path}", "the cache %s is not used: %s", self._path, error)
            return None

    def offer(self, snapshot: Snapshot, resume: sync_pb2.ResumeToken | None) -> None:
        """Writes a snapshot, now or, soon after another one, when `flush` is called."""
        self._waiting = snapshot, resume
        last = self._written_at
        if last is None or self._monotonic() - last >= CACHE_INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        self._written_at = self._monotonic()
        try:
            payload = _message(*waiting).SerializeToString()
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self._path, _MAGIC + hashlib.sha256(payload).digest() + payload)
        except (OSError, ValueError, TypeError) as error:
            cause = f"write {self._path}"
            once.warning(cause, "the cache %s is not written: %s", self._path, error)


def _decoded(content: bytes) -> sync_pb2.DefinitionChangeSet:
    if not content.startswith(_MAGIC):
        raise ValueError("it is of another format")
    begin = len(_MAGIC) + _DIGEST_BYTES
    payload = content[begin:]
    if hashlib.sha256(payload).digest() != content[len(_MAGIC) : begin]:
        raise ValueError("its checksum is wrong")
    return sync_pb2.DefinitionChangeSet.FromString(payload)


def _message(
    snapshot: Snapshot, resume: sync_pb2.ResumeToken | None = None
) -> sync_pb2.DefinitionChangeSet:
    """A full change set in one part."""
    items = [sync_pb2.Item(segment=segment_to_proto(each)) for each in snapshot.segments.values()]
    items += [sync_pb2.Item(flag=flag_to_proto(each)) for each in snapshot.flags.values()]
    return sync_pb2.DefinitionChangeSet(
        kind=sync_pb2.CHANGE_KIND_FULL,
        revision=snapshot.revision,
        last=True,
        items=items,
        resume=resume,
    )


def _whole(message: sync_pb2.DefinitionChangeSet) -> DefinitionChanges:
    if message.kind != sync_pb2.CHANGE_KIND_FULL:
        raise ValueError("it is no full change set")
    changes = DefinitionAssembler().add(message)
    if changes is None:
        raise ValueError("it is only a part of a change set")
    return changes


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_CHANGE_SET_BYTES + 1)
    if len(content) > MAX_CHANGE_SET_BYTES:
        raise ValueError(f"it is larger than {MAX_CHANGE_SET_BYTES} bytes")
    return content


def _replace(path: Path, content: bytes) -> None:
    """Writes a file as a whole or not at all, readable for its owner alone."""
    if len(content) > MAX_CHANGE_SET_BYTES:
        raise ValueError(f"it is larger than {MAX_CHANGE_SET_BYTES} bytes")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
