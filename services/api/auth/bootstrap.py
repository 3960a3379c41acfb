"""The first administrator's token of an installation, shown once."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Final

from services.access.roles import Role
from services.runtime.errors import AlreadyExists
from services.runtime.secrets import ACCESS_TOKEN, hash_secret, last_characters, new_secret
from services.storage.model.actor import SYSTEM
from services.storage.model.changes import Change, ItemChange
from services.storage.model.credentials import (
    BOOTSTRAP_TOKEN_ID,
    AccessToken,
    AccessTokenKind,
    RoleGrant,
)
from services.storage.model.kinds import ACCESS_TOKEN as KIND
from services.storage.model.queries import Query
from services.storage.model.resource import INSTALLATION_ID, Scope
from services.storage.ports.store import Store

log = logging.getLogger(__name__)

DISPLAY_NAME: Final = "bootstrap"
"""Name of the first token in the audit log."""

_RULE: Final = "=" * 72


class Bootstrap:
    """Makes the token unless the installation has one; `run` may be repeated until it returns.

    With a ``path`` the token goes to that file, readable for its owner alone. The file is
    written before the token is made and takes its name afterwards, so that a crash in between
    loses no token and spoils none. Without one it is shown, on a terminal alone: output that
    is collected as a log is no place for a secret, so that then the token is not made.
    """

    def __init__(self, store: Store, path: Path | None) -> None:
        self._store = store
        self._path = path
        self._secret = new_secret(ACCESS_TOKEN)

    async def run(self) -> None:
        """Raises `StoreUnavailable`, and OSError for a file that cannot be written."""
        if self._path is None:
            await self._run_on_terminal()
            return
        waiting = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        await asyncio.to_thread(_write, waiting, self._secret)
        if await self._create():
            await asyncio.to_thread(waiting.replace, self._path)
        else:
            await asyncio.to_thread(waiting.unlink)

    async def _run_on_terminal(self) -> None:
        if sys.stdout.isatty():
            if await self._create():
                _show(self._secret)
        elif not await self._has_token():
            log.warning(
                "there is no administrator's token yet, and standard output is no terminal to "
                "show one on: set FEATMESH_BOOTSTRAP_TOKEN_FILE, and start again"
            )

    async def _has_token(self) -> bool:
        page = await self._store.resources.list(KIND, INSTALLATION_ID, Query(size=1))
        return bool(page.items)

    async def _create(self) -> bool:
        """Whether this secret is the one; also when an earlier try had made it unanswered."""
        secret_hash = hash_secret(self._secret)
        token = AccessToken(
            DISPLAY_NAME,
            AccessTokenKind.SERVICE,
            secret_hash,
            last_characters(self._secret),
            owner=SYSTEM.id,
            grants=(RoleGrant(Role.OWNER, Scope.INSTALLATION, INSTALLATION_ID),),
        )
        made = ItemChange(KIND, "create", None, token, id=BOOTSTRAP_TOKEN_ID)
        try:
            await self._store.resources.commit(Change(INSTALLATION_ID, SYSTEM, (made,)))
        except AlreadyExists:
            return await self._store.credentials.find_access_token(secret_hash) is not None
        return True


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
