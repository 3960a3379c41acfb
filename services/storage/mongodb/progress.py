"""Censuses of streams, and which of the processes that count them are alive."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo import DeleteOne, ReplaceOne

from services.storage.model.durations import Durations
from services.storage.model.progress import RevisionProgress, StreamProgress
from services.storage.mongodb.driver.client import Document, Part
from services.storage.mongodb.driver.errors import translated
from services.storage.ports.progress import PROCESS_SECONDS


class MongoProgress(Part):
    """`ProgressStore` on MongoDB. Liveness goes by the server's clock alone."""

    @translated
    async def report_process(self, process_id: str) -> None:
        alive = [{"$set": {"seen_at": "$$NOW"}}]
        await self._connection["evaluation_processes"].update_one(
            {"_id": process_id}, alive, upsert=True
        )

    @translated
    async def write_progress(
        self, process_id: str, progresses: Sequence[StreamProgress], gone: Sequence[str]
    ) -> None:
        now = self._connection.now()
        writes: list[ReplaceOne[Document] | DeleteOne] = [
            ReplaceOne(
                {"_id": _id(process_id, progress.environment_id)},
                {"process": process_id, "written_at": now, **_document(progress)},
                upsert=True,
            )
            for progress in progresses
        ]
        writes += [DeleteOne({"_id": _id(process_id, each)}) for each in gone]
        if writes:
            await self._connection["stream_progress"].bulk_write(writes, ordered=False)

    @translated
    async def read_progress(self, environment_id: str) -> list[StreamProgress]:
        oldest = {"$subtract": ["$$NOW", PROCESS_SECONDS * 1_000]}
        processes = self._connection["evaluation_processes"].find(
            {"$expr": {"$gt": ["$seen_at", oldest]}}, {"_id": 1}
        )
        alive = [document["_id"] async for document in processes]
        query = {"environment": environment_id, "process": {"$in": alive}}
        documents = self._connection["stream_progress"].find(query).sort("_id", 1)
        return [_progress_of(document) async for document in documents]

    @translated
    async def remove_process(self, process_id: str) -> None:
        await self._connection["evaluation_processes"].delete_one({"_id": process_id})
        await self._connection["stream_progress"].delete_many({"process": process_id})


def _id(process_id: str, environment_id: str) -> str:
    return f"{process_id}/{environment_id}"


def _document(progress: StreamProgress) -> Document:
    return {
        "environment": progress.environment_id,
        "streams": progress.streams,
        "revisions": [
            {
                "revision": each.revision,
                "handed": each.delivered,
                "applied": each.applied,
                "handed_durations": _durations(each.delivered_durations),
                "applied_durations": _durations(each.applied_durations),
            }
            for each in progress.revisions
        ],
    }


def _progress_of(document: Document) -> StreamProgress:
    return StreamProgress(
        document["environment"],
        document["streams"],
        tuple(
            RevisionProgress(
                each["revision"],
                each["handed"],
                each["applied"],
                {int(bucket): count for bucket, count in each["handed_durations"].items()},
                {int(bucket): count for bucket, count in each["applied_durations"].items()},
            )
            for each in document["revisions"]
        ),
    )


def _durations(durations: Durations) -> dict[str, int]:
    return {str(bucket): count for bucket, count in durations.items()}
