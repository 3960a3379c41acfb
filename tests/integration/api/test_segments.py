from __future__ import annotations

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from featmesh.flag.v1 import condition_pb2, segment_pb2
from featmesh.management.v1 import flag_service_pb2, segment_service_pb2
from featmesh.management.v1.page_pb2 import VIEW_BASIC, PageRequest
from tests.support.api import ApiClient, flag_resource, rollout, segment_resource
from tests.support.resources import Environment
from tests.support.statuses import error_info, violations


async def create(
    api: ApiClient, environment: Environment, resource: segment_service_pb2.SegmentResource
) -> segment_service_pb2.SegmentResource:
    request = segment_service_pb2.CreateSegmentRequest(parent=environment.name, resource=resource)
    answer: segment_service_pb2.CreateSegmentResponse = await api.call(
        api.segments.CreateSegment, request
    )
    return answer.resource


def update(
    resource: segment_service_pb2.SegmentResource,
) -> segment_service_pb2.UpdateSegmentRequest:
    return segment_service_pb2.UpdateSegmentRequest(
        resource=resource, update_mask=FieldMask(paths=["*"]), base_version=resource.meta.version
    )


def named(environment: Environment, key: str) -> str:
    return f"{environment.name}/segments/{key}"


def member_of(segment_id: str) -> condition_pb2.Condition:
    return condition_pb2.Condition(operator=condition_pb2.OPERATOR_IN_SEGMENT, values=[segment_id])


async def use(api: ApiClient, environment: Environment, segment_id: str) -> None:
    resource = flag_resource("user")
    resource.flag.rules.add(conditions=[member_of(segment_id)], rollout=rollout("off"))
    request = flag_service_pb2.CreateFlagRequest(parent=environment.name, resource=resource)
    await api.call(api.flags.CreateFlag, request)


async def test_a_created_segment_is_read_back_with_an_id_of_its_own(
    api: ApiClient, environment: Environment
) -> None:
    created = await create(api, environment, segment_resource("beta", included=["u1", "u2"]))
    request = segment_service_pb2.GetSegmentRequest(name=named(environment, "beta"))

    assert created.segment.id
    assert created.segment.version == 1
    assert (await api.call(api.segments.GetSegment, request)).resource == created


async def test_archived_segments_are_listed_only_when_asked_for(
    api: ApiClient, environment: Environment
) -> None:
    await create(api, environment, segment_resource("live"))
    await create(api, environment, segment_resource("old", archived=True))
    request = segment_service_pb2.ListSegmentsRequest(
        parent=environment.name, page=PageRequest(size=500)
    )
    live = await api.call(api.segments.ListSegments, request)
    request.include_archived = True
    everything = await api.call(api.segments.ListSegments, request)

    assert [each.segment.key for each in live.resources] == ["live"]
    assert [each.segment.key for each in everything.resources] == ["live", "old"]


async def test_an_update_keeps_the_id_and_may_not_change_it(
    api: ApiClient, environment: Environment
) -> None:
    resource = await create(api, environment, segment_resource("beta"))
    segment_id = resource.segment.id
    resource.segment.included.append("u9")
    resource.segment.id = ""
    updated = await api.call(api.segments.UpdateSegment, update(resource))
    assert updated.resource.segment.id == segment_id
    assert updated.resource.segment.version == 2

    updated.resource.segment.id = "another"
    error = await api.refused(api.segments.UpdateSegment, update(updated.resource))
    assert set(violations(error)) == {"resource.segment.id"}


async def test_a_stale_update_of_a_segment_is_aborted(
    api: ApiClient, environment: Environment
) -> None:
    resource = await create(api, environment, segment_resource("beta"))
    await api.call(api.segments.UpdateSegment, update(resource))
    error = await api.refused(api.segments.UpdateSegment, update(resource))
    assert error.code() == grpc.StatusCode.ABORTED
    assert error_info(error).metadata["current_version"] == "2"


async def test_a_segment_in_use_can_be_neither_archived_nor_deleted(
    api: ApiClient, environment: Environment
) -> None:
    resource = await create(api, environment, segment_resource("beta"))
    await use(api, environment, resource.segment.id)
    archive = segment_service_pb2.ArchiveSegmentRequest(name=named(environment, "beta"))
    delete = segment_service_pb2.DeleteSegmentRequest(name=named(environment, "beta"))

    for error in (
        await api.refused(api.segments.ArchiveSegment, archive),
        await api.refused(api.segments.DeleteSegment, delete),
    ):
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "flag 'user'" in (error.details() or "")


async def test_an_unused_segment_is_archived_restored_and_deleted(
    api: ApiClient, environment: Environment
) -> None:
    await create(api, environment, segment_resource("beta"))
    archive = segment_service_pb2.ArchiveSegmentRequest(name=named(environment, "beta"))
    answer = await api.call(api.segments.ArchiveSegment, archive)
    assert answer.resource.segment.archived
    restore = segment_service_pb2.RestoreSegmentRequest(name=named(environment, "beta"))
    answer = await api.call(api.segments.RestoreSegment, restore)
    assert not answer.resource.segment.archived
    delete = segment_service_pb2.DeleteSegmentRequest(name=named(environment, "beta"))
    deleted = await api.call(api.segments.DeleteSegment, delete)
    assert deleted.revision > answer.resource.segment.revision
    error = await api.refused(api.segments.DeleteSegment, delete)
    assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_a_cycle_of_segments_is_refused(api: ApiClient, environment: Environment) -> None:
    first = await create(api, environment, segment_resource("first"))
    rule = segment_pb2.SegmentRule(conditions=[member_of(first.segment.id)])
    second = await create(api, environment, segment_resource("second", rules=[rule]))
    first.segment.rules.add(conditions=[member_of(second.segment.id)])

    error = await api.refused(api.segments.UpdateSegment, update(first))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "cycle" in violations(error)["resource.segment.rules"]


async def test_a_basic_list_of_segments_counts_what_it_leaves_out(
    api: ApiClient, environment: Environment
) -> None:
    await create(api, environment, segment_resource("beta", included=["u1", "u2"], excluded=["x"]))
    request = segment_service_pb2.ListSegmentsRequest(parent=environment.name, view=VIEW_BASIC)
    (listed,) = (await api.call(api.segments.ListSegments, request)).resources

    assert listed.counts == segment_service_pb2.SegmentCounts(included=2, excluded=1)
    assert not listed.segment.included
