from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.engine.model import Context
from featmesh.management.v1 import insight_service_pb2 as pb
from services.storage.model.events import EvaluationEvent, InsightBatch
from services.storage.mongodb import MongoStore
from tests.support.api import ApiClient
from tests.support.observations import see_users
from tests.support.resources import Environment
from tests.support.statuses import violations

NOON = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)


def timestamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message


def query(environment_id: str, start: datetime, end: datetime) -> pb.QueryFlagEvaluationsRequest:
    return pb.QueryFlagEvaluationsRequest(
        environment_id=environment_id,
        flag_key="f",
        start_time=timestamp(start),
        end_time=timestamp(end),
    )


async def test_evaluations_are_counted_per_variation_and_hour(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    noon = round(NOON.timestamp() * 1000)
    event = EvaluationEvent("f", "on", "u1", 1, False, 3, noon, noon)
    await store.insights.store_insights([InsightBatch(environment.id, "b1", noon, (event,), ())])

    request = query(environment.id, NOON, NOON + timedelta(hours=1))
    (count,) = (await api.call(api.insights.QueryFlagEvaluations, request)).counts
    assert count.bucket.ToDatetime(UTC) == NOON.replace(minute=0)
    assert (count.variation_id, count.evaluations) == ("on", 3)


async def test_a_range_beyond_its_limits_is_refused(
    api: ApiClient, environment: Environment
) -> None:
    for start, end in ((NOON, NOON), (NOON, NOON + timedelta(days=94))):
        error = await api.refused(
            api.insights.QueryFlagEvaluations, query(environment.id, start, end)
        )
        assert set(violations(error)) == {"end_time"}
    request = pb.QueryFlagEvaluationsRequest(environment_id=environment.id, flag_key="f")
    error = await api.refused(api.insights.QueryFlagEvaluations, request)
    assert set(violations(error)) == {"start_time", "end_time"}


async def test_end_users_are_listed_by_key_and_prefix(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    users = [Context("anna", "Anna", {"age": 33.0}), Context("bob")]
    await see_users(store, environment.id, users, NOON)

    request = pb.ListEndUsersRequest(environment_id=environment.id, key_prefix="a")
    (user,) = (await api.call(api.insights.ListEndUsers, request)).end_users
    assert (user.context.key, user.context.name) == ("anna", "Anna")
    assert user.context.attributes["age"].number_value == 33
    assert user.last_seen.ToDatetime(UTC) == NOON


async def test_an_unknown_environment_has_no_insights(api: ApiClient) -> None:
    later = NOON + timedelta(hours=1)
    for method, request in (
        (api.insights.QueryFlagEvaluations, query("nowhere", NOON, later)),
        (api.insights.ListEndUsers, pb.ListEndUsersRequest(environment_id="nowhere")),
    ):
        assert (await api.refused(method, request)).code() == grpc.StatusCode.NOT_FOUND
