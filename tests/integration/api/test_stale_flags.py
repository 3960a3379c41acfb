from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from featmesh.management.v1 import report_service_pb2 as pb
from featmesh.management.v1.page_pb2 import PageRequest
from services.storage.mongodb import MongoStore
from tests.integration.api.test_reports import evaluation, track
from tests.integration.storage.records import change, create, flag
from tests.support.api import ApiClient
from tests.support.resources import Environment
from tests.support.statuses import violations

DAY = timedelta(days=1)
NEVER, UNUSED, SAME = (
    pb.STALE_REASON_NEVER_EVALUATED,
    pb.STALE_REASON_NOT_EVALUATED,
    pb.STALE_REASON_SAME_VARIATION,
)


async def make_flags(
    store: MongoStore, environment: Environment, age: timedelta, *keys: str, **fields: Any
) -> None:
    records = [flag(key, **fields) for key in keys]
    await store.resources.commit(change(environment.id, *create(*records)))
    ids = [f"{environment.id}/{key}" for key in keys]
    aged = {"$set": {"created_at": datetime.now(UTC) - age}}
    await store._connection["flags"].update_many({"_id": {"$in": ids}}, aged)


async def stale(
    api: ApiClient, environment: Environment, days: int = 0, size: int = 100
) -> dict[str, tuple[int, str]]:
    request = pb.ListStaleFlagsRequest(
        parent=environment.name, days=days, page=PageRequest(size=size)
    )
    found: dict[str, tuple[int, str]] = {}
    while True:
        answer = await api.call(api.reports.ListStaleFlags, request)
        found |= {each.flag_key: (each.reason, each.variation_id) for each in answer.flags}
        request.page.token = answer.next_token
        if not answer.next_token:
            return found


async def test_flags_that_nobody_asks_or_that_answer_alike_are_stale(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    now = datetime.now(UTC)
    await make_flags(store, environment, 60 * DAY, "never", "unused", "same", "lively", "back")
    await make_flags(store, environment, 60 * DAY, "archived", archived=True)
    await make_flags(store, environment, 5 * DAY, "new", "new-same")
    await track(
        store,
        environment,
        evaluation(now - 40 * DAY, flag="unused"),
        evaluation(now - 40 * DAY, flag="same", variation="off"),
        evaluation(now - 20 * DAY, flag="same"),
        evaluation(now, flag="same"),
        evaluation(now - 20 * DAY, flag="lively", variation="off"),
        evaluation(now, flag="lively"),
        evaluation(now, flag="back"),
        evaluation(now - DAY, flag="back", variation="off"),
        evaluation(now, flag="new-same"),
    )
    expected = {"never": (NEVER, ""), "unused": (UNUSED, "on"), "same": (SAME, "on")}
    assert await stale(api, environment) == expected
    assert await stale(api, environment, size=1) == expected, "page by page"
    assert await stale(api, environment, days=10) == {**expected, "lively": (SAME, "on")}
    assert await stale(api, environment, days=45) == {"never": (NEVER, ""), "unused": (SAME, "on")}


async def test_a_new_flag_is_not_stale_for_what_an_earlier_one_with_its_key_was_asked(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    await track(store, environment, evaluation(datetime.now(UTC) - 40 * DAY, flag="again"))
    await make_flags(store, environment, 5 * DAY, "again")
    assert await stale(api, environment) == {}


async def test_stale_days_beyond_their_limit_are_refused(
    api: ApiClient, environment: Environment
) -> None:
    for days in (-1, 366):
        request = pb.ListStaleFlagsRequest(parent=environment.name, days=days)
        error = await api.refused(api.reports.ListStaleFlags, request)
        assert set(violations(error)) == {"days"}
