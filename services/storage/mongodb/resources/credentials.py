"""SDK keys and access tokens, found by the hash of their secret."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import pymongo

from services.storage.model.credentials import AccessToken, SdkKey
from services.storage.model.kinds import ACCESS_TOKEN, SDK_KEY
from services.storage.model.resource import Kind, R, Stored
from services.storage.mongodb.driver.client import LOOK_SECONDS, Part, whole_milliseconds
from services.storage.mongodb.driver.errors import translated
from services.storage.mongodb.resources.codecs import stored_of


class MongoCredentials(Part):
    """`CredentialStore` on MongoDB."""

    @translated
    async def find_sdk_key(self, secret_hash: str) -> Stored[SdkKey] | None:
        return await self._find(SDK_KEY, secret_hash)

    @translated
    async def good_sdk_keys(self, sdk_key_ids: Collection[str]) -> frozenset[str]:
        query = {"_id": {"$in": list(sdk_key_ids)}, "revoked_at": None}
        with pymongo.timeout(LOOK_SECONDS):
            found = await self._connection.find_all("sdk_keys", query, {"_id": 1})
            return frozenset(document["_id"] for document in found)

    @translated
    async def find_access_token(self, secret_hash: str) -> Stored[AccessToken] | None:
        return await self._find(ACCESS_TOKEN, secret_hash)

    @translated
    async def record_token_use(self, token_id: str, time: datetime) -> None:
        latest = {"$max": {"last_used_at": whole_milliseconds(time)}}
        await self._connection["access_tokens"].update_one({"_id": token_id}, latest)

    async def _find(self, kind: Kind[R], secret_hash: str) -> Stored[R] | None:
        document = await self._connection[kind.collection].find_one({"hash": secret_hash})
        return stored_of(kind, document) if document else None
