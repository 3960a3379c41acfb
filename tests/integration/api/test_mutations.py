"""What holds for every RPC of the management API that writes, RPC by RPC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest

from featmesh.management.v1 import (
    flag_service_pb2,
    import_service_pb2,
    mutation_pb2,
    segment_service_pb2,
    tenancy_pb2,
)
from services.api.registration import SERVICES
from services.storage.model import Environment
from services.storage.mongodb.connection import Connection, utc_now
from services.storage.mongodb.migrations import INDEXES
from tests.support.api import ApiClient, flag_resource, segment_resource
from tests.support.statuses import error_info, violations

flags, segments, tenancy, imports = (
    flag_service_pb2,
    segment_service_pb2,
    tenancy_pb2,
    import_service_pb2,
)


@dataclass
class World:
    """An environment with a flag `f` and a segment `s` at version 2, a deleted flag and a key."""

    api: ApiClient
    environment: Environment
    organization_id: str
    sdk_key_ids: tuple[str, str]

    async def call(self, mutation: Mutation, request: Any) -> Any:
        return await self.api.call(getattr(mutation.stub(self.api), mutation.name), request)

    async def refused(self, mutation: Mutation, request: Any) -> Any:
        return await self.api.refused(getattr(mutation.stub(self.api), mutation.name), request)


@dataclass(frozen=True)
class Mutation:
    """An RPC, a good request for it, and another good one."""

    name: str
    service: str
    requests: Callable[[World], tuple[Any, Any]]
    stale: Callable[[Any], None] | None = None
    """Bases a request on version 1, which is not the current one."""

    def stub(self, api: ApiClient) -> Any:
        return getattr(api, self.service)

    def __str__(self) -> str:
        return self.name


def items(kind: Any, *fields: dict[str, Any]) -> Callable[[World], tuple[Any, Any]]:
    """Two requests for items of the environment."""

    def make(world: World) -> tuple[Any, Any]:
        first, second = (kind(environment_id=world.environment.id, **each) for each in fields)
        return first, second

    return make


def version_of(request: Any) -> None:
    request.version = 1


def version_of_flag(request: Any) -> None:
    request.resource.flag.version = 1


def version_of_segment(request: Any) -> None:
    request.resource.segment.version = 1


def updated_flag(name: str) -> dict[str, Any]:
    resource = flag_resource("f", version=2)
    resource.name = name
    return {"resource": resource}


def updated_segment(name: str) -> dict[str, Any]:
    resource = segment_resource("s", version=2)
    resource.name = name
    return {"resource": resource}


def named(kind: Any, parent: str, of: Callable[[World], str]) -> Any:
    def make(world: World) -> tuple[Any, Any]:
        first, second = (
            kind(key=key, name=key, **({parent: of(world)} if parent else {}))
            for key in ("first", "second")
        )
        return first, second

    return make


def revoked_keys(world: World) -> tuple[Any, Any]:
    first, second = (
        tenancy.RevokeSdkKeyRequest(environment_id=world.environment.id, sdk_key_id=each)
        for each in world.sdk_key_ids
    )
    return first, second


MUTATIONS: Final = (
    Mutation(
        "CreateFlag",
        "flags",
        items(
            flags.CreateFlagRequest,
            {"resource": flag_resource("new")},
            {"resource": flag_resource("other")},
        ),
    ),
    Mutation(
        "UpdateFlag",
        "flags",
        items(flags.UpdateFlagRequest, updated_flag("A"), updated_flag("B")),
        version_of_flag,
    ),
    Mutation(
        "ToggleFlag",
        "flags",
        items(
            flags.ToggleFlagRequest, {"key": "f", "enabled": False}, {"key": "f", "enabled": True}
        ),
        version_of,
    ),
    Mutation(
        "ArchiveFlag",
        "flags",
        items(
            flags.ArchiveFlagRequest,
            {"key": "f", "archived": True},
            {"key": "f", "archived": False},
        ),
        version_of,
    ),
    Mutation(
        "RollbackFlag",
        "flags",
        items(
            flags.RollbackFlagRequest,
            {"key": "f", "to_version": 1},
            {"key": "f", "to_version": 2},
        ),
        version_of,
    ),
    Mutation(
        "DeleteFlag",
        "flags",
        items(flags.DeleteFlagRequest, {"key": "f"}, {"key": "g"}),
        version_of,
    ),
    Mutation(
        "CreateSegment",
        "segments",
        items(
            segments.CreateSegmentRequest,
            {"resource": segment_resource("new")},
            {"resource": segment_resource("other")},
        ),
    ),
    Mutation(
        "UpdateSegment",
        "segments",
        items(segments.UpdateSegmentRequest, updated_segment("A"), updated_segment("B")),
        version_of_segment,
    ),
    Mutation(
        "ArchiveSegment",
        "segments",
        items(
            segments.ArchiveSegmentRequest,
            {"key": "s", "archived": True},
            {"key": "s", "archived": False},
        ),
        version_of,
    ),
    Mutation(
        "RollbackSegment",
        "segments",
        items(
            segments.RollbackSegmentRequest,
            {"key": "s", "to_version": 1},
            {"key": "s", "to_version": 2},
        ),
        version_of,
    ),
    Mutation(
        "DeleteSegment",
        "segments",
        items(segments.DeleteSegmentRequest, {"key": "s"}, {"key": "t"}),
        version_of,
    ),
    Mutation(
        "ImportItems",
        "imports",
        items(
            imports.ImportItemsRequest,
            {"flags": [flag_resource("in")], "segments": [segment_resource("in")]},
            {"flags": [flag_resource("out")]},
        ),
    ),
    Mutation(
        "CreateOrganization",
        "tenancy",
        named(tenancy.CreateOrganizationRequest, "", lambda world: ""),
    ),
    Mutation(
        "CreateProject",
        "tenancy",
        named(tenancy.CreateProjectRequest, "organization_id", lambda world: world.organization_id),
    ),
    Mutation(
        "CreateEnvironment",
        "tenancy",
        named(
            tenancy.CreateEnvironmentRequest,
            "project_id",
            lambda world: world.environment.project_id,
        ),
    ),
    Mutation(
        "DeleteEnvironment",
        "tenancy",
        lambda world: (
            tenancy.DeleteEnvironmentRequest(environment_id=world.environment.id),
            tenancy.DeleteEnvironmentRequest(environment_id="another"),
        ),
    ),
    Mutation(
        "CreateSdkKey",
        "tenancy",
        items(
            tenancy.CreateSdkKeyRequest,
            {"kind": tenancy.SDK_KEY_KIND_SERVER, "name": "first"},
            {"kind": tenancy.SDK_KEY_KIND_CLIENT, "name": "first"},
        ),
    ),
    Mutation(
        "RevokeSdkKey",
        "tenancy",
        revoked_keys,
    ),
)
VERSIONED: Final = tuple(each for each in MUTATIONS if each.stale)

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
    return World(api, environment, listed.organizations[0].id, keys)


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
    assert type(rehearsed) is type(real)
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


async def settled(written: Written) -> dict[str, list[Any]]:
    """What is written, without what the removal of a deleted environment has yet to take."""
    found = await written()
    gone = {each["_id"] for each in found["removed_environments"]}
    return {
        collection: [
            each
            for each in documents
            if each.get("environment") not in gone
            and str(each["_id"]).partition("/")[0] not in gone
        ]
        for collection, documents in found.items()
    }
