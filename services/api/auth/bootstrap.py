"""The first administrator's token of an installation, shown once."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from services.runtime.secrets import ACCESS_TOKEN, hash_secret, new_secret
from services.storage.ports.tenancy import CredentialStore

TOKEN_NAME: Final = "bootstrap"  # noqa: S105 -- a name in the audit log, not a secret

_RULE: Final = "=" * 72


class Bootstrap:
    """Makes the token unless the installation has one; `run` may be repeated until it returns.

    With a ``path`` the token goes to that file, readable for its owner alone, and is not
    printed. The file is written before the token is made and takes its name afterwards, so
    that a crash in between loses no token and spoils none.
    """

    def __init__(self, credentials: CredentialStore, path: Path | None) -> None:
        self._credentials = credentials
        self._path = path
        self._secret = new_secret(ACCESS_TOKEN)

    async def run(self) -> None:
        """Raises `StoreUnavailable`, and OSError for a file that cannot be written."""
        if self._path is None:
            if await self._create():
                _show(self._secret)
            return
        waiting = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        await asyncio.to_thread(_write, waiting, self._secret)
        if await self._create():
            await asyncio.to_thread(waiting.replace, self._path)
        else:
            await asyncio.to_thread(waiting.unlink)

    async def _create(self) -> bool:
        """Whether this secret is the one; also when an earlier try had made it unanswered."""
        secret_hash = hash_secret(self._secret)
        if await self._credentials.create_bootstrap_token(TOKEN_NAME, secret_hash) is not None:
            return True
        return await self._credentials.find_access_token(secret_hash) is not None


def _show(secret: str) -> None:
    sys.stdout.write(
        f"{_RULE}\n"
        "FeatMesh administrator's token. It is shown this once; keep it safe:\n"
        f"\n  {secret}\n\n"
        "Send it with management calls as metadata `authorization: Bearer <token>`.\n"
        f"{_RULE}\n"
    )
    sys.stdout.flush()


def _write(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
