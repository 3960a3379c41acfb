"""SDK keys and management tokens, found by the hash of their secret."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import NAMESPACE_URL, uuid4, uuid5

import pymongo
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from services.runtime.errors import NotFound
from services.storage.model.changes import PLAINLY, Request
from services.storage.model.credentials import AccessToken, SdkKey, SdkKeyKind
from services.storage.model.pages import Page
from services.storage.mongodb.driver.client import LOOK_SECONDS, Document, Part, require
from services.storage.mongodb.driver.errors import translated
from services.storage.mongodb.driver.paging import Order, read_page
from services.storage.mongodb.driver.transactions import Session
from services.storage.mongodb.resources.removals import hold_environment
from services.storage.mongodb.resources.requests import once

_BY_CREATION = Order(("created_at", "_id"), (datetime, str))
_BOOTSTRAP_ID = str(uuid5(NAMESPACE_URL, "featmesh:bootstrap-token"))
"""The same in every process, so that the primary key lets only one of them make it."""


class MongoCredentials(Part):
    """`CredentialStore` on MongoDB."""

    @translated
    async def create_sdk_key(
        self,
        environment_id: str,
        kind: SdkKeyKind,
        name: str,
        *,
        secret_hash: str,
        last_characters: str,
        request: Request = PLAINLY,
    ) -> SdkKey:
        made = {
            "_id": str(uuid4()),
            "environment": environment_id,
            "kind": kind.value,
            "name": name,
            "hash": secret_hash,
            "last_characters": last_characters,
            "created_at": self._connection.now(),
            "revoked_at": None,
        }

        async def create(session: Session) -> Document:
            await hold_environment(self._connection, environment_id, session)
            await self._connection["sdk_keys"].insert_one(made, session=session)
            return made

        return _sdk_key_of(await once(self._connection, environment_id, request, create))

    @translated
    async def find_sdk_key(self, secret_hash: str) -> SdkKey | None:
        document = await self._connection["sdk_keys"].find_one({"hash": secret_hash})
        return _sdk_key_of(document) if document else None

    @translated
    async def good_sdk_keys(self, sdk_key_ids: Collection[str]) -> frozenset[str]:
        query = {"_id": {"$in": list(sdk_key_ids)}, "revoked_at": None}
        with pymongo.timeout(LOOK_SECONDS):
            found = await self._connection.find_all("sdk_keys", query, {"_id": 1})
            return frozenset(document["_id"] for document in found)

    @translated
    async def list_sdk_keys(self, environment_id: str, size: int, token: str) -> Page[SdkKey]:
        await require(self._connection, "environments", environment_id)
        return await read_page(
            self._connection["sdk_keys"],
            {"environment": environment_id},
            order=_BY_CREATION,
            size=size,
            token=token,
            decode=_sdk_key_of,
        )

    @translated
    async def revoke_sdk_key(
        self, environment_id: str, sdk_key_id: str, request: Request = PLAINLY
    ) -> SdkKey:
        first_time = {"$ifNull": ["$revoked_at", self._connection.now()]}

        async def revoke(session: Session) -> Document:
            document = await self._connection["sdk_keys"].find_one_and_update(
                {"_id": sdk_key_id, "environment": environment_id},
                [{"$set": {"revoked_at": first_time}}],
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            if document is None:
                raise NotFound(f"SDK key {sdk_key_id!r} does not exist in this environment")
            return document

        return _sdk_key_of(await once(self._connection, environment_id, request, revoke))

    @translated
    async def create_access_token(self, name: str, secret_hash: str) -> AccessToken:
        return await self._insert_token(str(uuid4()), name, secret_hash)

    @translated
    async def create_bootstrap_token(self, name: str, secret_hash: str) -> AccessToken | None:
        try:
            return await self._insert_token(_BOOTSTRAP_ID, name, secret_hash)
        except DuplicateKeyError:
            return None

    @translated
    async def find_access_token(self, secret_hash: str) -> AccessToken | None:
        document = await self._connection["access_tokens"].find_one({"hash": secret_hash})
        return _access_token_of(document) if document else None

    async def _insert_token(self, token_id: str, name: str, secret_hash: str) -> AccessToken:
        document = {
            "_id": token_id,
            "name": name,
            "hash": secret_hash,
            "created_at": self._connection.now(),
            "revoked_at": None,
        }
        await self._connection["access_tokens"].insert_one(document)
        return _access_token_of(document)


def _sdk_key_of(document: Document) -> SdkKey:
    return SdkKey(
        id=document["_id"],
        environment_id=document["environment"],
        kind=SdkKeyKind(document["kind"]),
        name=document["name"],
        last_characters=document["last_characters"],
        secret_hash=document["hash"],
        created_at=document["created_at"],
        revoked_at=document.get("revoked_at"),
    )


def _access_token_of(document: Document) -> AccessToken:
    return AccessToken(
        id=document["_id"],
        name=document["name"],
        created_at=document["created_at"],
        revoked_at=document.get("revoked_at"),
    )
