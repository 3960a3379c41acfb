"""What holds for every RPC of the management API that writes, RPC by RPC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from featmesh.management.v1 import flag_service_pb2 as flags
from featmesh.management.v1 import import_service_pb2 as imports
from featmesh.management.v1 import mutation_pb2
from featmesh.management.v1 import segment_service_pb2 as segments
from featmesh.management.v1 import tenancy_pb2 as tenancy
from services.api.rpc.registration import SERVICES
from services.storage.mongodb.driver.client import Connection, utc_now
from services.storage.mongodb.migrations import INDEXES
from tests.integration.api.mutations import MUTATIONS, VERSIONED, Mutation, World
from tests.support.api import ApiClient, flag_resource, segment_resource
from tests.support.resources import Environment
from tests.support.statuses import error_info, violations

of_each = pytest.mark.parametrize("mutation", MUTATIONS, ids=str)

Written = Callable[[], Awaitable[dict[str, list[Any]]]]


@pytest.fixture
async def world(api: ApiClient, environment: Environment) -> World:
    async def sdk_key(name: str) -> str:
        request = tenancy.CreateSdkKeyRequest(
            environment_id=environment.id, kind=tenancy.SDK_KEY_KIND_SERVER, name=name
        )
        return str((await api.call(api.tenancy.CreateSdkKey, request)).sdk_key.id)

    for conflict in (imports.IMPORT_CONFLICT_FAIL, imports.IMPORT_CONFLICT_REPLACE):
        request = imports.ImportItemsRequest(
            environment_id=environment.id,
            flags=[flag_resource(key, enabled=True) for key in ("f", "g")],
            segments=[segment_resource(key) for key in ("s", "t")],
            conflict=conflict,
        )
        await api.call(api.imports.ImportItems, request)
    listed = await api.call(api.tenancy.ListOrganizations, tenancy.ListOrganizationsRequest())
    keys = (await sdk_key("One"), await sdk_key("Two"))
    another = tenancy.CreateEnvironmentRequest(
        project_id=environment.project_id, key="another", name="Another"
    )
    made = await api.call(api.tenancy.CreateEnvironment, another)
    ids = (listed.organizations[0].id, made.environment.id)
    return World(api, environment, *ids, keys)


@pytest.fixture
def written(mongodb_uri: str, database_name: str) -> Written:
    """Everything in the database that an operator's call can write.

    Without what the background does meanwhile: the outbox empties, leases change hands.
    """
    looked_at = sorted(INDEXES.keys() - {"outbox", "leases"})

    async def read() -> dict[str, list[Any]]:
        connection = Connection(mongodb_uri, database_name, utc_now)
        found = {
            each: await connection[each].find().sort("_id", 1).to_list(None) for each in looked_at
        }
        await connection.close()
        return found

    return read


def with_options(request: Any, **options: Any) -> Any:
    asked = type(request)()
    asked.CopyFrom(request)
    asked.options.CopyFrom(mutation_pb2.MutationOptions(**options))
    return asked


def test_the_table_has_every_rpc_that_takes_options() -> None:
    modules = (flags, segments, imports, tenancy)
    writing = {
        method.name
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        if service.full_name in SERVICES
        for method in service.methods
        if "options" in method.input_type.fields_by_name
    }
    assert writing == {each.name for each in MUTATIONS}


@of_each
async def test_a_repeated_request_id_answers_as_the_first_time_and_writes_once(
    mutation: Mutation, world: World, written: Written
) -> None:
    request = with_options(mutation.requests(world)[0], request_id="once")
    first = await world.call(mutation, request)
    after_first = await settled(written)

    again = await world.call(mutation, request)

    if mutation.name == "CreateSdkKey":
        assert first.secret
        assert not again.secret
        first.secret = ""
    assert again == first
    assert await settled(written) == after_first


@of_each
async def test_of_requests_with_one_id_at_once_one_writes_and_all_answer_alike(
    mutation: Mutation, world: World, written: Written
) -> None:
    request = with_options(mutation.requests(world)[0], request_id="once")
    answers = await asyncio.gather(*(world.call(mutation, request) for _ in range(4)))
    if mutation.name == "CreateSdkKey":
        assert sorted(bool(answer.secret) for answer in answers) == [False, False, False, True]
        for answer in answers:
            answer.secret = ""
    assert all(answer == answers[0] for answer in answers)
    kept = (await written())["requests"]
    assert len(kept) == 1


@of_each
async def test_another_change_under_the_same_request_id_is_refused_and_writes_nothing(
    mutation: Mutation, world: World, written: Written
) -> None:
    one, other = mutation.requests(world)
    await world.call(mutation, with_options(one, request_id="once"))
    before = await settled(written)

    error = await world.refused(mutation, with_options(other, request_id="once"))

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(error)) == {"options.request_id"}
    assert await settled(written) == before


@of_each
async def test_validate_only_answers_and_writes_nothing(
    mutation: Mutation, world: World, written: Written
) -> None:
    request = mutation.requests(world)[0]
    before = await written()
    rehearsed = await world.call(
        mutation, with_options(request, validate_only=True, request_id="once")
    )
    assert await written() == before
    if mutation.name == "CreateSdkKey":
        assert not rehearsed.secret
    real = await world.call(mutation, with_options(request, request_id="once"))
    assert without_what_a_write_makes(rehearsed) == without_what_a_write_makes(real)
    assert await written() != before, "the request was a good one, and its id was still free"


@of_each
async def test_validate_only_refuses_what_the_write_would(
    mutation: Mutation, world: World, written: Written
) -> None:
    request = mutation.requests(world)[0]
    for field in ("environment_id", "project_id", "organization_id"):
        if field in request.DESCRIPTOR.fields_by_name:
            setattr(request, field, "nowhere")
    if mutation.name == "CreateOrganization":
        request.key = "acme"
    before = await written()
    rehearsed = await world.refused(mutation, with_options(request, validate_only=True))
    real = await world.refused(mutation, request)
    assert (rehearsed.code(), rehearsed.details()) == (real.code(), real.details())
    assert real.code() in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS}
    assert await written() == before


@pytest.mark.parametrize("mutation", VERSIONED, ids=str)
@pytest.mark.parametrize("validate_only", [False, True])
async def test_a_change_of_a_stale_version_is_aborted_with_the_current_one(
    mutation: Mutation, validate_only: bool, world: World, written: Written
) -> None:
    request = with_options(mutation.requests(world)[0], validate_only=validate_only)
    assert mutation.stale is not None
    mutation.stale(request)
    before = await written()
    error = await world.refused(mutation, request)
    assert error.code() == grpc.StatusCode.ABORTED
    assert error_info(error).reason == "STALE_VERSION"
    assert error_info(error).metadata["current_version"] == "2"
    assert await written() == before


def test_every_rpc_that_takes_a_version_is_tried_with_a_stale_one() -> None:
    takes_version = {
        each.name
        for each in MUTATIONS
        if each.service in {"flags", "segments"} and not each.name.startswith("Create")
    }
    assert takes_version == {each.name for each in VERSIONED}


async def test_a_repeated_toggle_that_had_nothing_to_do_still_does_nothing(
    world: World, written: Written
) -> None:
    toggle = next(each for each in MUTATIONS if each.name == "ToggleFlag")
    off, on = toggle.requests(world)
    repeated = with_options(on, request_id="once")
    first = await world.call(toggle, repeated)
    await world.call(toggle, off)
    before = await written()
    assert await world.call(toggle, repeated) == first
    assert await written() == before


async def test_a_repeated_import_that_skips_answers_with_what_the_first_wrote(
    world: World,
) -> None:
    mutation = next(each for each in MUTATIONS if each.name == "ImportItems")
    request = mutation.requests(world)[0]
    request.flags.append(flag_resource("f"))
    request.conflict = imports.IMPORT_CONFLICT_SKIP
    first = await world.call(mutation, with_options(request, request_id="once"))
    assert (first.flags_written, first.flags_skipped, first.segments_written) == (1, 1, 1)
    assert await world.call(mutation, with_options(request, request_id="once")) == first


MADE_BY_A_WRITE = {
    "id",
    "revision",
    "created_at",
    "updated_at",
    "revoked_at",
    "secret",
    "last_characters",
}


def without_what_a_write_makes(answer: Any) -> Any:
    """Without ids, secrets, revisions and times, at any depth."""
    for field, value in answer.ListFields():
        if field.name in MADE_BY_A_WRITE:
            answer.ClearField(field.name)
        elif field.message_type is not None:
            for each in [value] if hasattr(value, "ListFields") else value:
                without_what_a_write_makes(each)
    return answer


async def settled(written: Written) -> dict[str, list[Any]]:
    """What is written, without what the removal of a deleted environment has yet to take."""
    found = await written()
    gone = {each["_id"] for each in found["removed_environments"]}
    return {
        collection: [
            each
            for each in documents
            if each.get("environment") not in gone
            and each.get("scope") not in gone
            and str(each["_id"]).partition("/")[0] not in gone
        ]
        for collection, documents in found.items()
    }
