"""When changes were committed, by MongoDB's own log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any, Final

from motor.motor_asyncio import AsyncIOMotorClient

from bench.push.generator import Change

NS_PER_MS: Final = 1_000_000
_HALF_MS: Final = NS_PER_MS // 2
"""The log's times are cut to whole ms: what they were is half a ms later on average."""


class Commits:
    """Reads the oplog, in which a transaction is one entry with the time of its commit.

    A change's revision is older: it is the time at which its transaction began to write.
    """

    def __init__(self, uri: str, database: str) -> None:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(uri, tz_aware=True)
        self._oplog = client["local"]["oplog.rs"]
        self._outbox = f"{database}.outbox"

    async def timed(self, changes: Sequence[Change]) -> list[Change]:
        """The same changes, beginning at their commits, give or take half a ms; or KeyError."""
        found: dict[int, int] = {}
        cursor = self._oplog.find({"o.applyOps.ns": self._outbox}).sort("$natural", -1)
        async for entry in cursor:
            for operation in entry["o"]["applyOps"]:
                if operation["ns"] == self._outbox and operation["op"] == "i":
                    wall = entry["wall"].astimezone(UTC).timestamp()
                    found[operation["o"]["revision"]] = round(wall * 1_000) * NS_PER_MS + _HALF_MS
            if found and min(found) < min(each.revision for each in changes):
                break
        return [replace(each, at=found[each.revision]) for each in changes]
