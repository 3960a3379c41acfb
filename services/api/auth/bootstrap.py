"""The first administrator's token of an installation, shown once."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from services.runtime import secrets
from services.runtime.errors import AlreadyExists
from services.runtime.secrets import hash_secret, new_secret
from services.storage.model.actor import SYSTEM
from services.storage.model.changes import Change, ItemChange
from services.storage.model.credentials import (
    BOOTSTRAP_TOKEN_ID,
    AccessToken,
    AccessTokenKind,
    RoleGrant,
)
from services.storage.model.kinds import ACCESS_TOKEN
from services.storage.model.resource import INSTALLATION_ID, Scope
from services.storage.ports.credentials import CredentialStore
from services.storage.ports.resources import Resources

TOKEN_NAME: Final = "bootstrap"  # noqa: S105 -- a name in the audit log, not a secret

_RULE: Final = "=" * 72


class Bootstrap:
    """Makes the token unless the installation has one; `run` may be repeated until it returns.

    With a ``path`` the token goes to that file, readable for its owner alone, and is not
    printed. The file is written before the token is made and takes its name afterwards, so
    that a crash in between loses no token and spoils none.
    """

    def __init__(
        self, resources: Resources, credentials: CredentialStore, path: Path | None
    ) -> None:
        self._resources = resources
        self._credentials = credentials
        self._path = path
        self._secret = new_secret(secrets.ACCESS_TOKEN)

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
        try:
            await self._resources.commit(_creation(self._secret))
        except AlreadyExists:
            return await self._credentials.find_access_token(secret_hash) is not None
        return True


def _creation(secret: str) -> Change:
    token = AccessToken(
        display_name=TOKEN_NAME,
        kind=AccessTokenKind.SERVICE,
        secret_hash=hash_secret(secret),
        last_characters=secret[-4:],
        grants=(RoleGrant("owner", Scope.INSTALLATION, INSTALLATION_ID),),
    )
    item = ItemChange(ACCESS_TOKEN, "create", None, token, id=BOOTSTRAP_TOKEN_ID)
    return Change(INSTALLATION_ID, SYSTEM, (item,))


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
