"""SdkKeyService."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.message import Message

from featmesh.management.v1 import sdk_key_service_pb2 as pb
from services.api.changes.hooks import CommitHooks
from services.api.resources.standard import Deps, ResourceType, Standard
from services.api.rpc.call import Call
from services.api.rpc.dispatch import Behaviour
from services.runtime.errors import FailedPrecondition
from services.runtime.secrets import (
    CLIENT_KEY,
    SERVER_KEY,
    hash_secret,
    last_characters,
    new_secret,
)
from services.storage.model.credentials import SdkKey, SdkKeyKind
from services.storage.model.kinds import SDK_KEY
from services.storage.model.resource import Stored

_PREFIXES: Final = {SdkKeyKind.SERVER: SERVER_KEY, SdkKeyKind.CLIENT: CLIENT_KEY}
_PREFIX: Final = "SDK_KEY_KIND_"


def _write(message: pb.SdkKey, stored: Stored[SdkKey]) -> None:
    key = stored.content
    message.display_name, message.last_characters = key.display_name, key.last_characters
    message.kind = pb.SdkKeyKind.Value(f"{_PREFIX}{key.kind}")
    if key.revoked_at is not None:
        message.revoked_at.FromDatetime(key.revoked_at)


def _read(message: pb.SdkKey, current: Stored[SdkKey] | None) -> SdkKey:
    if current is not None:  # its kind and secret never change
        return replace(current.content, display_name=message.display_name)
    kind = SdkKeyKind(pb.SdkKeyKind.Name(message.kind).removeprefix(_PREFIX))
    return SdkKey(message.display_name, kind, secret_hash="", last_characters="")


SDK_KEYS: Final = ResourceType(
    kind=SDK_KEY,
    service=pb.DESCRIPTOR.services_by_name["SdkKeyService"],
    message=pb.SdkKey,
    field="sdk_key",
    plural="sdk_keys",
    write=_write,
    read=_read,
)


class SdkKeyMethods(Standard[SdkKey]):
    """The standard ones, with a secret that is shown once, and revocation."""

    def __init__(self, deps: Deps, hooks: CommitHooks) -> None:
        super().__init__(SDK_KEYS, deps)
        self._hooks = hooks

    def methods(self) -> dict[str, Behaviour]:
        """Returns all of them."""
        return {**super().methods(), "RevokeSdkKey": self.revoke}

    async def create(self, request: Any, call: Call) -> Message:
        """Makes a key; the secret is empty unless this call has made it."""
        content = _read(request.sdk_key, None)
        secret = new_secret(_PREFIXES[content.kind])
        content = replace(
            content, secret_hash=hash_secret(secret), last_characters=last_characters(secret)
        )
        made = await self.commit_new(content, request, call)
        if request.options.validate_only:
            made = replace(made, content=replace(made.content, last_characters=""))
        is_made = made.content.secret_hash == content.secret_hash
        shown = secret if is_made and not request.options.validate_only else ""
        return await self.answer("Create", made, secret=shown)

    async def revoke(self, request: Any, call: Call) -> Message:
        """Revokes; the first time of revocation is kept."""
        now = datetime.now(UTC)
        stored = await self.deps.versions.edit(
            SDK_KEY,
            call.target(SDK_KEY),
            "revoke",
            lambda key: key if key.revoked_at else replace(key, revoked_at=now),
            mutation=call.mutation(request),
            version=request.base_version,
        )
        if not request.options.validate_only:
            self._hooks.key_revoked(stored.meta.scope_id)
        return await self.answer("Revoke", stored)

    def check_deletion(self, content: SdkKey) -> None:
        """Only a revoked key can be removed from the list."""
        if content.revoked_at is None:
            raise FailedPrecondition("the SDK key still works; revoke it first")
