"""The data of an experiment: users by their first exposure, and what they did afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.storage.model.reports import ExperimentVariation
from services.storage.mongodb.driver.client import Connection, Document


async def read_experiment(
    connection: Connection,
    environment_id: str,
    flag_key: str,
    event_name: str,
    milliseconds: int,
) -> Sequence[ExperimentVariation]:
    """As `ReportStore.read_experiment`, in at most so many milliseconds for each query."""
    experiment = {"environment": environment_id, "flag": flag_key}
    exposures = connection["experiment_exposures"]
    cursor = exposures.aggregate(_exposed(experiment), maxTimeMS=milliseconds)
    exposed = {each["_id"]: each async for each in cursor}
    did: dict[str, Document] = {}
    if event_name:
        pipeline = _converted(experiment, event_name)
        cursor = exposures.aggregate(pipeline, maxTimeMS=milliseconds)
        did = {each["_id"]: each async for each in cursor}
    return [_variation(exposed[each], did.get(each)) for each in sorted(exposed)]


def _exposed(experiment: Document) -> list[Document]:
    several: Document = {"$cond": ["$several", 1, 0]}
    group = {
        "_id": "$variation",
        "several": {"$sum": several},
        "users": {"$sum": {"$subtract": [1, several]}},
    }
    return [{"$match": experiment}, {"$group": group}]


def _converted(experiment: Document, event_name: str) -> list[Document]:
    """Joined for each user, so that one who did it a thousand times is one user."""
    of_user = [
        {
            "$match": {
                "environment": experiment["environment"],
                "name": event_name,
                "$expr": {"$gte": ["$time", "$$since"]},
            }
        },
        {"$group": {"_id": None, "events": {"$sum": 1}, "sum": {"$sum": "$value"}}},
    ]
    lookup = {
        "from": "metric_events",
        "localField": "user",
        "foreignField": "user",
        "let": {"since": "$first_time"},
        "pipeline": of_user,
        "as": "did",
    }
    group = {
        "_id": "$variation",
        "users": {"$sum": 1},
        "events": {"$sum": "$did.events"},
        "sum": {"$sum": "$did.sum"},
        "squares": {"$sum": {"$multiply": ["$did.sum", "$did.sum"]}},
    }
    return [
        {"$match": {**experiment, "several": False}},
        {"$lookup": lookup},
        {"$unwind": "$did"},
        {"$group": group},
    ]


def _variation(exposed: dict[str, Any], did: dict[str, Any] | None) -> ExperimentVariation:
    users, several = exposed["users"], exposed["several"]
    if did is None:
        return ExperimentVariation(exposed["_id"], users, several)
    return ExperimentVariation(
        exposed["_id"],
        users,
        several,
        converted_users=did["users"],
        events=did["events"],
        sum=float(did["sum"]),
        sum_of_squares=float(did["squares"]),
    )
