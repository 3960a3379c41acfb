"""The folder that standalone keeps everything in: data, credentials, and a lock."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from services.standalone.errors import StandaloneError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


class DataFolder:
    """Only this user can read it, and only one process at a time has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def open(self) -> None:
        """Makes the folder if need be and takes it; raises `StandaloneError`."""
        try:
            self.path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        except OSError as error:
            text = f"the data folder {self.path} cannot be used: {error.strerror}"
            raise StandaloneError(f"{text} (FEATMESH_DATA_DIR names another)") from error
        try:
            # Held until the file is closed, by us or by the end of the process.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise StandaloneError(
                f"FeatMesh runs already on {self.path} (process {other}): stop it, or set "
                "FEATMESH_DATA_DIR and the FEATMESH_*_LISTEN addresses for a second one"
            ) from None
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._lock = lock

    def close(self) -> None:
        """Gives the folder free."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self, name: str) -> str | None:
        """A file's text; None when there is no such file."""
        try:
            return (self.path / name).read_text()
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """Replaces a file as a whole; only this user can read it, from its first byte on."""
        temporary = self.path / f"{name}.new"
        temporary.unlink(missing_ok=True)
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        with open(file, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(file)
        temporary.replace(self.path / name)
