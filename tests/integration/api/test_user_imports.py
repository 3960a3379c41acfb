from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from grpc import aio

from featmesh.engine.model import Context
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.management.v1 import end_user_service_pb2 as pb
from featmesh.wire import context_to_proto
from services.api.changes.end_users import REFUSALS
from services.api.read.end_users import EXPORT_BYTES
from services.runtime import interceptor
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver.client import Connection, utc_now
from tests.support.api import ApiClient
from tests.support.observations import see_users
from tests.support.resources import NOWHERE, Environment
from tests.support.statuses import violations
from tests.support.waiting import PATIENCE

NOON = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)


def imported(line: int, context: Context, **times: datetime) -> pb.ImportedUser:
    user = pb.ImportedUser(line=line, context=context_to_proto(context))
    for name, time in times.items():
        getattr(user, name).FromDatetime(time)
    return user


async def sent(api: ApiClient, requests: Iterable[pb.ImportEndUsersRequest]) -> Any:
    async def each() -> Any:
        for request in requests:
            yield request

    return await api.users.ImportEndUsers(each(), metadata=api.metadata, timeout=PATIENCE)


async def refused(api: ApiClient, *requests: pb.ImportEndUsersRequest) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        await sent(api, requests)
    return caught.value


async def bring_in(
    api: ApiClient, environment: Environment, *users: pb.ImportedUser, validate_only: bool = False
) -> Any:
    request = pb.ImportEndUsersRequest(
        parent=environment.name, users=users, validate_only=validate_only
    )
    return await sent(api, [request])


def counts(answer: pb.ImportEndUsersResponse) -> tuple[int, int, int, int]:
    return (answer.created, answer.updated, answer.unchanged, answer.refused)


async def exported(api: ApiClient, environment: Environment, **wanted: Any) -> list[pb.EndUser]:
    request = pb.ExportEndUsersRequest(parent=environment.name, filter=pb.EndUserFilter(**wanted))
    stream = api.users.ExportEndUsers(request, metadata=api.metadata, timeout=PATIENCE)
    return [user async for chunk in stream for user in chunk.end_users]


async def documents(mongodb_uri: str, database_name: str) -> list[Any]:
    connection = Connection(mongodb_uri, database_name, utc_now)
    found = [
        await connection[each].find().sort("_id", 1).to_list(None)
        for each in ("end_users", "user_properties")
    ]
    await connection.close()
    return found


async def test_imported_users_are_found_and_their_properties_known(
    api: ApiClient, environment: Environment
) -> None:
    ada = Context("ada", "Ada", {"plan": "pro", "age": 36.0, "paying": True, "groups": ("a",)})
    answer = await bring_in(
        api, environment, imported(1, ada, first_seen=NOON, last_seen=NOON + timedelta(hours=1))
    )
    assert counts(answer) == (1, 0, 0, 0)
    (user,) = await exported(api, environment)
    assert user.context == context_to_proto(ada)
    assert user.first_seen.ToDatetime(UTC) == NOON
    assert user.last_seen.ToDatetime(UTC) == NOON + timedelta(hours=1)
    request = pb.ListUserPropertiesRequest(parent=environment.name)
    properties = (await api.call(api.users.ListUserProperties, request)).properties
    assert [each.name for each in properties] == ["age", "groups", "paying", "plan"]


async def test_the_same_import_again_changes_nothing(
    api: ApiClient, environment: Environment, mongodb_uri: str, database_name: str
) -> None:
    users = (
        imported(1, Context("ada", "Ada", {"plan": "pro", "age": 1.0})),
        imported(2, Context("bob", "Bob", {"paying": True}), last_seen=NOON),
        imported(3, Context("eve"), first_seen=NOON),
    )
    assert counts(await bring_in(api, environment, *users)) == (3, 0, 0, 0)
    before = await documents(mongodb_uri, database_name)
    assert counts(await bring_in(api, environment, *users)) == (0, 0, 3, 0)
    assert await documents(mongodb_uri, database_name) == before


async def test_an_import_of_another_type_of_the_same_value_is_a_change(
    api: ApiClient, environment: Environment
) -> None:
    await bring_in(api, environment, imported(1, Context("ada", "", {"paying": True})))
    again = imported(1, Context("ada", "", {"paying": 1.0}))
    assert counts(await bring_in(api, environment, again)) == (0, 1, 0, 0)
    (user,) = await exported(api, environment)
    assert user.context.attributes["paying"].number_value == 1


async def test_a_known_user_gets_what_is_new_and_was_not_seen_by_it(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    known = Context("ada", "Ada", {"plan": "free", "age": 36.0})
    await see_users(store, environment.id, [known], NOON)
    told = imported(1, Context("ada", "", {"plan": "pro"}))
    assert counts(await bring_in(api, environment, told)) == (0, 1, 0, 0)
    (user,) = await exported(api, environment)
    assert user.context == context_to_proto(Context("ada", "Ada", {"plan": "pro", "age": 36.0}))
    assert user.last_seen.ToDatetime(UTC) == NOON


async def test_what_was_seen_later_than_the_file_says_stays(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    known = Context("ada", "Ada", {"plan": "pro"})
    await see_users(store, environment.id, [known], NOON)
    old = Context("ada", "Countess", {"plan": "free", "country": "GB"})
    earlier = imported(1, old, last_seen=NOON - timedelta(days=1))
    assert counts(await bring_in(api, environment, earlier)) == (0, 1, 0, 0)
    (user,) = await exported(api, environment)
    expected = Context("ada", "Ada", {"plan": "pro", "country": "GB"})
    assert user.context == context_to_proto(expected)
    assert user.first_seen.ToDatetime(UTC) == NOON - timedelta(days=1)


async def test_of_two_lines_for_one_user_the_second_stands(
    api: ApiClient, environment: Environment
) -> None:
    lines = [imported(n, Context("ada", "", {"plan": plan})) for n, plan in enumerate("ab", 1)]
    assert counts(await bring_in(api, environment, *lines)) == (1, 1, 0, 0)
    (user,) = await exported(api, environment)
    assert user.context.attributes["plan"].string_value == "b"


async def test_bad_users_are_refused_alone_with_line_field_and_limit(
    api: ApiClient, environment: Environment
) -> None:
    nan = imported(3, Context("nan"))
    nan.context.attributes["age"].CopyFrom(evaluation_pb2.AttributeValue(number_value=float("nan")))
    many = Context("many", "", {f"a{n}": "x" for n in range(201)})
    answer = await bring_in(
        api,
        environment,
        imported(1, Context("")),
        imported(2, Context("long", "x" * 513)),
        nan,
        imported(4, many),
        imported(5, Context("good")),
        imported(6, Context("future"), last_seen=datetime.now(UTC) + timedelta(days=1)),
        imported(7, Context("order"), first_seen=NOON, last_seen=NOON - timedelta(days=1)),
    )
    assert counts(answer) == (1, 0, 0, 6)
    assert [(each.line, each.field, each.reason) for each in answer.refusals] == [
        (1, "key", "is required"),
        (2, "name", "has 513 bytes; at most 512"),
        (3, 'attributes["age"]', "is not a finite number"),
        (4, "attributes", "has 201; at most 200"),
        (6, "last_seen", "is in the future"),
        (7, "first_seen", "is after last_seen"),
    ]
    assert [user.context.key for user in await exported(api, environment)] == ["good"]


async def test_all_refused_users_are_counted_and_the_first_thousand_named(
    api: ApiClient, environment: Environment
) -> None:
    chunk = [imported(n, Context("")) for n in range(1, 1_001)]
    requests = [pb.ImportEndUsersRequest(parent=environment.name, users=chunk) for _ in range(2)]
    answer = await sent(api, requests)
    assert (answer.refused, len(answer.refusals)) == (2_000, REFUSALS)


async def test_a_dry_run_answers_as_the_import_would_and_writes_nothing(
    api: ApiClient, environment: Environment
) -> None:
    users = (imported(1, Context("ada")), imported(2, Context("")))
    rehearsed = await bring_in(api, environment, *users, validate_only=True)
    assert await exported(api, environment) == []
    assert await bring_in(api, environment, *users) == rehearsed


async def test_an_import_beyond_its_limits_is_refused_and_what_came_before_stays(
    api: ApiClient, environment: Environment
) -> None:
    good = pb.ImportEndUsersRequest(parent=environment.name, users=[imported(1, Context("ada"))])
    long = pb.ImportEndUsersRequest(users=[imported(2, Context("x"))] * 1_001)
    large = pb.ImportEndUsersRequest(
        users=[imported(2, Context("x", "", {"bio": "x" * 8_192}))] * 513
    )
    elsewhere = pb.ImportEndUsersRequest(parent=NOWHERE)
    for second, field in ((long, "users"), (large, "request"), (elsewhere, "parent")):
        error = await refused(api, good, second)
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert set(violations(error)) == {field}
    assert [user.context.key for user in await exported(api, environment)] == ["ada"]


async def test_an_import_needs_an_environment_that_is_there(api: ApiClient) -> None:
    for requests in ((), (pb.ImportEndUsersRequest(),)):
        assert set(violations(await refused(api, *requests))) == {"parent"}
    nowhere = pb.ImportEndUsersRequest(parent=NOWHERE, users=[imported(1, Context("ada"))])
    assert (await refused(api, nowhere)).code() == grpc.StatusCode.NOT_FOUND


async def test_an_import_that_sends_nothing_is_ended(
    api: ApiClient, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptor, "UNARY_DEADLINE", 0.1)
    never = asyncio.Event()

    async def one() -> Any:
        yield pb.ImportEndUsersRequest(parent=environment.name, users=[imported(1, Context("ada"))])
        await never.wait()

    with pytest.raises(aio.AioRpcError) as caught:
        await api.users.ImportEndUsers(one(), metadata=api.metadata, timeout=PATIENCE)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "0.1 seconds" in str(caught.value.details())


async def test_an_import_without_a_token_is_not_let_in(
    api: ApiClient, environment: Environment
) -> None:
    api.metadata = ()
    error = await refused(api, pb.ImportEndUsersRequest(parent=environment.name))
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_an_export_comes_in_chunks_with_everybody_whom_the_filter_lets_through(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    users = [Context(f"u{n:04}", "", {"bio": "x" * 4_000}) for n in range(700)]
    await see_users(store, environment.id, users, NOON)
    request = pb.ExportEndUsersRequest(parent=environment.name)
    stream = api.users.ExportEndUsers(request, metadata=api.metadata, timeout=PATIENCE)
    chunks = [chunk async for chunk in stream]
    keys = [user.context.key for chunk in chunks for user in chunk.end_users]
    assert keys == [user.key for user in users]
    assert max(chunk.ByteSize() for chunk in chunks) < 2 * EXPORT_BYTES
    found = await exported(api, environment, key_prefix="u069")
    assert len(found) == 10


async def test_an_export_needs_an_environment_that_is_there(api: ApiClient) -> None:
    for parent, code in (
        ("", grpc.StatusCode.INVALID_ARGUMENT),
        (NOWHERE, grpc.StatusCode.NOT_FOUND),
    ):
        request = pb.ExportEndUsersRequest(parent=parent)
        stream = api.users.ExportEndUsers(request, metadata=api.metadata, timeout=PATIENCE)
        with pytest.raises(aio.AioRpcError) as caught:
            await anext(aiter(stream))
        assert caught.value.code() == code
