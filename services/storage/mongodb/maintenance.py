"""Background work: leases, what is left of deleted environments, old tombstones."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pymongo.errors import DuplicateKeyError

from services.storage.model.kinds import KINDS
from services.storage.mongodb.driver.client import Part, milliseconds
from services.storage.mongodb.driver.errors import translated
from services.storage.mongodb.driver.transactions import Session
from services.storage.mongodb.resources.epochs import renew_all, renew_if_moved
from services.storage.mongodb.resources.pruning import prune_audit, prune_history
from services.storage.mongodb.resources.removals import remove_deleted

_SYNCED: Final = tuple(kind.collection for kind in KINDS.values() if kind.synced)
"""Collections that have tombstones."""


class MongoMaintenance(Part):
    """`MaintenanceStore` on MongoDB."""

    @translated
    async def hold_lease(self, name: str, holder: str, duration: timedelta) -> bool:
        now = self._connection.now()
        free = {"_id": name, "$or": [{"holder": holder}, {"until": {"$lte": now}}]}
        update = {"$set": {"holder": holder, "until": now + duration}}
        try:
            await self._connection["leases"].update_one(free, update, upsert=True)
        except DuplicateKeyError:  # it is there and not free
            return False
        return True

    @translated
    async def release_lease(self, name: str, holder: str) -> None:
        await self._connection["leases"].delete_one({"_id": name, "holder": holder})

    @translated
    async def remove_deleted(self, limit: int) -> int:
        return await remove_deleted(self._connection, limit)

    @translated
    async def compact_tombstones(self, retention: timedelta, limit: int) -> int:
        before = milliseconds(self._connection) - retention // timedelta(milliseconds=1)
        environment_id = await self._environment_with_tombstones(before)
        if environment_id is None:
            return 0

        async def compact(session: Session) -> int:
            return await self._compact(environment_id, before, limit, session)

        return await self._connection.transactions.run(compact)

    @translated
    async def prune_history(self, retention: timedelta, limit: int) -> int:
        return await prune_history(self._connection, self._connection.now() - retention, limit)

    @translated
    async def prune_audit(self, retention: timedelta, limit: int) -> int:
        return await prune_audit(self._connection, self._connection.now() - retention, limit)

    @translated
    async def renew_epochs(self) -> int:
        return await renew_all(self._connection)

    @translated
    async def renew_epochs_if_moved(self) -> None:
        await renew_if_moved(self._connection)

    async def _environment_with_tombstones(self, before: int) -> str | None:
        query = {"deleted": True, "revision": {"$lt": before}}
        for collection in _SYNCED:
            found = await self._connection[collection].find_one(query, {"environment": 1})
            if found is not None:
                return str(found["environment"])
        return None

    async def _compact(self, environment_id: str, before: int, limit: int, session: Session) -> int:
        query = {"environment": environment_id, "deleted": True, "revision": {"$lt": before}}
        removed, floor = 0, 0
        for collection in map(self._connection.__getitem__, _SYNCED):
            if removed == limit:
                break
            cursor = collection.find(query, {"revision": 1}, session=session)
            oldest = await cursor.sort("revision", 1).limit(limit - removed).to_list(limit)
            ids = [tombstone["_id"] for tombstone in oldest]
            await collection.delete_many({"_id": {"$in": ids}}, session=session)
            removed += len(ids)
            floor = max([floor, *(tombstone["revision"] for tombstone in oldest)])
        # Who holds this revision has seen every one of them, and needs none.
        await self._connection["environments"].update_one(
            {"_id": environment_id}, {"$max": {"floor": floor}}, session=session
        )
        return removed
