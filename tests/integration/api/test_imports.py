from __future__ import annotations

from typing import Any

import grpc

from featmesh.flag.v1 import condition_pb2, flag_pb2
from featmesh.management.v1 import flag_service_pb2, import_service_pb2
from featmesh.management.v1.mutation_pb2 import MutationOptions
from services.api.registration import REQUEST_LIMITS
from services.storage.mongodb import MongoStore
from tests.support.api import ApiClient, flag_resource, rollout, segment_resource
from tests.support.resources import Environment
from tests.support.statuses import violations

IMPORT = "/featmesh.management.v1.ImportService/ImportItems"
SKIP = import_service_pb2.IMPORT_CONFLICT_SKIP
REPLACE = import_service_pb2.IMPORT_CONFLICT_REPLACE


def bundle(environment: Environment, **fields: Any) -> import_service_pb2.ImportItemsRequest:
    """A flag whose rule names a segment that comes along, and one that needs the flag."""
    condition = condition_pb2.Condition(
        operator=condition_pb2.OPERATOR_IN_SEGMENT, values=["segment-1"]
    )
    rule = flag_pb2.Rule(conditions=[condition], rollout=rollout("off"))
    prerequisite = flag_pb2.Prerequisite(flag_key="base", variation_id="on")
    return import_service_pb2.ImportItemsRequest(
        parent=environment.name,
        flags=[
            flag_resource("top", prerequisites=[prerequisite]),
            flag_resource("base", rules=[rule]),
        ],
        segments=[segment_resource("beta", id="segment-1")],
        **fields,
    )


async def test_flags_and_segments_arrive_in_one_revision(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    answer = await api.call(api.imports.ImportItems, bundle(environment))
    definitions = await store.definitions.read_definitions(environment.id)

    assert (answer.flags_written, answer.segments_written) == (2, 1)
    revisions = {flag.revision for flag in definitions.flags}
    revisions |= {segment.revision for segment in definitions.segments}
    assert revisions == {answer.revision} == {definitions.revision}
    assert definitions.segments[0].id == "segment-1"


async def test_a_malformed_item_is_named_and_nothing_is_imported(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    request = bundle(environment)
    request.flags[0].flag.fallthrough.shares[0].weight = 1
    request.flags[1].flag.rules[0].conditions[0].values.append("nowhere")
    request.segments[0].segment.key = "no spaces"
    error = await api.refused(api.imports.ImportItems, request)

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(error)) == {
        "flags[0].flag.fallthrough.shares",
        "segments[0].segment.key",
    }
    definitions = await store.definitions.read_definitions(environment.id)
    assert not definitions.flags
    assert not definitions.segments


async def test_an_import_of_nothing_is_refused(api: ApiClient, environment: Environment) -> None:
    request = import_service_pb2.ImportItemsRequest(parent=environment.name)
    assert set(violations(await api.refused(api.imports.ImportItems, request))) == {"flags"}


async def test_references_to_nothing_are_named_and_nothing_is_imported(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    request = bundle(environment)
    request.flags[1].flag.rules[0].conditions[0].values.append("nowhere")
    del request.flags[1].flag.variations[0]
    request.flags[1].flag.fallthrough.CopyFrom(rollout("off"))
    error = await api.refused(api.imports.ImportItems, request)

    assert set(violations(error)) == {
        "flags[0].flag.prerequisites[0].variation_id",
        "flags[1].flag.rules[0].conditions[0].values[1]",
    }
    assert not (await store.definitions.read_definitions(environment.id)).segments


async def test_taken_keys_fail_unless_said_otherwise(
    api: ApiClient, environment: Environment
) -> None:
    await api.call(api.imports.ImportItems, bundle(environment))
    error = await api.refused(api.imports.ImportItems, bundle(environment))
    assert error.code() == grpc.StatusCode.ALREADY_EXISTS
    assert "flag 'base'" in (error.details() or "")


async def test_taken_keys_can_be_skipped(api: ApiClient, environment: Environment) -> None:
    first = await api.call(api.imports.ImportItems, bundle(environment))
    request = bundle(environment, conflict=SKIP)
    request.flags.append(flag_resource("new"))
    second = await api.call(api.imports.ImportItems, request)
    third = await api.call(api.imports.ImportItems, request)

    assert (second.flags_written, second.flags_skipped, second.segments_skipped) == (1, 2, 1)
    assert second.revision > first.revision
    assert (third.revision, third.flags_written) == (second.revision, 0)


async def test_taken_keys_can_be_replaced_by_a_next_version(
    api: ApiClient, environment: Environment
) -> None:
    await api.call(api.imports.ImportItems, bundle(environment))
    request = bundle(environment, conflict=REPLACE)
    request.flags[1].display_name = "Changed"
    await api.call(api.imports.ImportItems, request)

    get = flag_service_pb2.GetFlagRequest(name=f"{environment.name}/flags/base")
    resource = (await api.call(api.flags.GetFlag, get)).resource
    assert (resource.display_name, resource.flag.version) == ("Changed", 2)


async def test_a_repeated_import_with_the_same_request_id_answers_as_the_first(
    api: ApiClient, environment: Environment
) -> None:
    request = bundle(environment, options=MutationOptions(request_id="once"))
    first = await api.call(api.imports.ImportItems, request)
    assert await api.call(api.imports.ImportItems, request) == first


async def test_validating_an_import_writes_nothing(
    api: ApiClient, environment: Environment, store: MongoStore
) -> None:
    request = bundle(environment, options=MutationOptions(validate_only=True))
    answer = await api.call(api.imports.ImportItems, request)
    assert answer.flags_written == 2
    assert not (await store.definitions.read_definitions(environment.id)).flags


async def test_an_import_may_be_larger_than_other_requests_but_not_endless(
    api: ApiClient, environment: Environment
) -> None:
    large = bundle(environment)
    large.segments[0].segment.included.extend(f"{n:06d}" + "x" * 24 for n in range(60_000))
    await api.call(api.imports.ImportItems, large)

    request = import_service_pb2.ImportItemsRequest(parent=environment.name)
    for number in range(6):
        keys = [f"{number}-{n:06d}" + "x" * 24 for n in range(95_000)]
        request.segments.append(segment_resource(f"s{number}", included=keys))
    assert request.ByteSize() > REQUEST_LIMITS[IMPORT]
    error = await api.refused(api.imports.ImportItems, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(error)) == {"request"}
