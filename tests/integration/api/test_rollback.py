"""Versions and rollback of flags and segments over the wire."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from featmesh.flag.v1 import condition_pb2, flag_pb2
from featmesh.management.v1 import audit_service_pb2, flag_service_pb2, segment_service_pb2
from featmesh.management.v1.mutation_pb2 import MutationOptions
from featmesh.management.v1.page_pb2 import PageRequest
from services.storage.mongodb import MongoStore
from tests.support.api import ACTOR, ApiClient, flag_resource, rollout, segment_resource
from tests.support.resources import Environment
from tests.support.statuses import error_info, violations


class Place:
    """FlagService and SegmentService of one environment."""

    def __init__(self, api: ApiClient, environment: Environment) -> None:
        self.api = api
        self.id = environment.id
        self.parent = environment.name

    def flag(self, key: str) -> str:
        return f"{self.parent}/flags/{key}"

    def segment(self, key: str) -> str:
        return f"{self.parent}/segments/{key}"

    async def create(self, resource: flag_service_pb2.FlagResource) -> Any:
        request = flag_service_pb2.CreateFlagRequest(parent=self.parent, resource=resource)
        return (await self.api.call(self.api.flags.CreateFlag, request)).resource

    async def update(self, resource: flag_service_pb2.FlagResource) -> Any:
        request = flag_service_pb2.UpdateFlagRequest(
            resource=resource,
            update_mask=FieldMask(paths=["*"]),
            base_version=resource.meta.version,
        )
        return (await self.api.call(self.api.flags.UpdateFlag, request)).resource

    async def delete(self, key: str) -> int:
        request = flag_service_pb2.DeleteFlagRequest(name=self.flag(key))
        return int((await self.api.call(self.api.flags.DeleteFlag, request)).revision)

    async def toggle(self, key: str, enabled: bool) -> Any:
        request = flag_service_pb2.ToggleFlagRequest(name=self.flag(key), enabled=enabled)
        return (await self.api.call(self.api.flags.ToggleFlag, request)).resource

    async def versions(self, key: str, **page: Any) -> Any:
        request = flag_service_pb2.ListFlagVersionsRequest(
            name=self.flag(key), page=PageRequest(**page)
        )
        return await self.api.call(self.api.flags.ListFlagVersions, request)

    def back(
        self, key: str, to_version: int, version: int = 0, **options: Any
    ) -> flag_service_pb2.RollbackFlagRequest:
        return flag_service_pb2.RollbackFlagRequest(
            name=self.flag(key),
            to_version=to_version,
            base_version=version,
            options=MutationOptions(**options),
        )

    async def rollback(self, *named: Any, **options: Any) -> Any:
        request = self.back(*named, **options)
        return (await self.api.call(self.api.flags.RollbackFlag, request)).resource

    async def refused(self, *named: Any, **options: Any) -> Any:
        return await self.api.refused(self.api.flags.RollbackFlag, self.back(*named, **options))

    async def add_segment(self, resource: segment_service_pb2.SegmentResource) -> Any:
        request = segment_service_pb2.CreateSegmentRequest(parent=self.parent, resource=resource)
        return (await self.api.call(self.api.segments.CreateSegment, request)).resource

    async def delete_segment(self, key: str) -> None:
        request = segment_service_pb2.DeleteSegmentRequest(name=self.segment(key))
        await self.api.call(self.api.segments.DeleteSegment, request)

    def segment_back(
        self, key: str, to_version: int, version: int = 0
    ) -> segment_service_pb2.RollbackSegmentRequest:
        return segment_service_pb2.RollbackSegmentRequest(
            name=self.segment(key), to_version=to_version, base_version=version
        )


@pytest.fixture
def place(api: ApiClient, environment: Environment) -> Place:
    return Place(api, environment)


async def changed(place: Place) -> tuple[Any, Any]:
    """Version 1 of a flag, and a version 2 that differs in everything."""
    first = await place.create(flag_resource("f", salt="old"))
    resource = flag_service_pb2.FlagResource()
    resource.CopyFrom(first)
    resource.display_name, resource.flag.salt, resource.flag.enabled = "Renamed", "new", True
    resource.flag.fallthrough.CopyFrom(rollout("off"))
    return first, await place.update(resource)


async def test_every_version_is_listed_newest_first_also_of_a_deleted_flag(place: Place) -> None:
    first, second = await changed(place)
    revision = await place.delete("f")

    page = await place.versions("f", size=2)
    rest = await place.versions("f", size=2, token=page.next_token)

    assert [each.version for each in (*page.versions, *rest.versions)] == [3, 2, 1]
    assert not rest.next_token
    assert not page.versions[0].HasField("resource")
    assert page.versions[0].revision == revision
    assert (page.versions[1].resource, page.versions[1].revision) == (second, second.flag.revision)
    assert rest.versions[0].resource == first


async def test_a_rollback_stores_the_earlier_content_as_a_new_version(
    place: Place, store: MongoStore
) -> None:
    first, second = await changed(place)
    back = await place.rollback("f", 1)

    assert back.flag.version == 3
    assert back.flag.revision > second.flag.revision
    expected = flag_pb2.Flag()
    expected.CopyFrom(first.flag)
    expected.version, expected.revision = 3, back.flag.revision
    assert back.flag == expected, "the salt too, so everybody is in the share of before"
    assert (back.display_name, back.meta.created_at) == (first.display_name, first.meta.created_at)
    assert back.meta.updated_by.display_name == ACTOR
    read = await store.definitions.read_definitions(place.id)
    assert [(flag.version, flag.salt) for flag in read.flags] == [(3, "old")]


async def test_a_rollback_is_audited_with_the_version_that_it_went_back_to(place: Place) -> None:
    await changed(place)
    await place.rollback("f", 1, comment="it broke")
    await place.rollback("f", 2)
    request = audit_service_pb2.ListAuditEntriesRequest(parent=place.parent, contents=True)
    entries = (await place.api.call(place.api.audit.ListAuditEntries, request)).entries
    assert [(each.operation, each.comment) for each in entries[:2]] == [
        ("rollback", "to version 2"),
        ("rollback", "to version 1: it broke"),
    ]
    assert '"salt":"new"' in entries[1].before_json
    assert '"salt":"old"' in entries[1].after_json


async def test_a_deleted_flag_comes_back_and_goes_on_counting(place: Place) -> None:
    first, _ = await changed(place)
    await place.delete("f")
    back = await place.rollback("f", 1)
    assert (back.flag.version, back.flag.salt) == (4, "old")
    assert back.meta.created_at == first.meta.created_at
    listed = (await place.versions("f")).versions
    assert [each.HasField("resource") for each in listed] == [True, False, True, True]


async def test_a_deletion_is_no_version_to_go_back_to(place: Place) -> None:
    await changed(place)
    await place.delete("f")
    await place.rollback("f", 2)
    error = await place.refused("f", 3)
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "version 3 is a deletion" in (error.details() or "")


async def test_a_version_or_flag_that_never_was_is_not_found(place: Place) -> None:
    await changed(place)
    for named in (("f", 3), ("other", 1)):
        assert (await place.refused(*named)).code() == grpc.StatusCode.NOT_FOUND
    error = await place.refused("f", 0, -1)
    assert set(violations(error)) == {"to_version", "base_version"}


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_rollback_based_on_a_stale_version_is_aborted(place: Place, deleted: bool) -> None:
    await changed(place)
    if deleted:
        await place.delete("f")
    for options in ({}, {"validate_only": True}):
        error = await place.refused("f", 1, 1, **options)
        assert error.code() == grpc.StatusCode.ABORTED
        assert error_info(error).metadata["current_version"] == ("3" if deleted else "2")
    current = 3 if deleted else 2
    assert (await place.rollback("f", 1, current)).flag.version == current + 1


async def test_a_repeated_rollback_answers_as_the_first_and_writes_once(place: Place) -> None:
    await changed(place)
    first = await place.rollback("f", 1, request_id="r")
    await place.toggle("f", True)
    assert await place.rollback("f", 1, request_id="r") == first
    assert [each.version for each in (await place.versions("f")).versions] == [4, 3, 2, 1]
    error = await place.refused("f", 2, request_id="r")
    assert set(violations(error)) == {"options.request_id"}


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_rehearsed_rollback_answers_and_writes_nothing(place: Place, deleted: bool) -> None:
    await changed(place)
    if deleted:
        await place.delete("f")
    before = await place.versions("f")
    rehearsed = await place.rollback("f", 1, validate_only=True)
    assert (rehearsed.flag.version, rehearsed.flag.salt) == (4 if deleted else 3, "old")
    assert rehearsed.flag.revision == 0
    assert await place.versions("f") == before


async def test_a_rollback_to_what_used_something_that_is_gone_is_refused(place: Place) -> None:
    segment = await place.add_segment(segment_resource("beta"))
    condition = condition_pb2.Condition(
        operator=condition_pb2.OPERATOR_IN_SEGMENT, values=[segment.segment.id]
    )
    await place.create(flag_resource("base"))
    resource = flag_resource(
        "f",
        prerequisites=[flag_pb2.Prerequisite(flag_key="base", variation_id="on")],
        rules=[flag_pb2.Rule(conditions=[condition], rollout=rollout("off"))],
    )
    created = await place.create(resource)
    created.flag.ClearField("prerequisites")
    created.flag.ClearField("rules")
    await place.update(created)
    await place.delete("base")

    error = await place.refused("f", 1)
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "names flag 'base', which does not exist" in (error.details() or "")
    await place.rollback("base", 1)
    await place.delete_segment("beta")
    error = await place.refused("f", 1)
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "names segment" in (error.details() or "")
    restore = place.segment_back("beta", 1)
    back = await place.api.call(place.api.segments.RollbackSegment, restore)
    assert back.resource.segment.id == segment.segment.id, "conditions find it again"
    assert (await place.rollback("f", 1)).flag.version == 3


async def test_a_rollback_that_takes_away_what_another_flag_needs_is_refused(
    place: Place,
) -> None:
    first = await place.create(flag_resource("base"))
    first.flag.variations.add(id="third", name="Third").value.bool_value = True
    await place.update(first)
    needs = flag_pb2.Prerequisite(flag_key="base", variation_id="third")
    await place.create(flag_resource("top", prerequisites=[needs]))
    error = await place.refused("base", 1)
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "flag 'base' is needed by flag 'top'" in (error.details() or "")


async def test_a_segment_goes_back_as_a_flag_does(place: Place) -> None:
    api = place.api
    first = await place.add_segment(segment_resource("vip", included=["ada"]))
    first.segment.included.append("bob")
    update = segment_service_pb2.UpdateSegmentRequest(
        resource=first, update_mask=FieldMask(paths=["*"]), base_version=1
    )
    await api.call(api.segments.UpdateSegment, update)
    stale = await api.refused(api.segments.RollbackSegment, place.segment_back("vip", 1, 1))
    assert stale.code() == grpc.StatusCode.ABORTED
    assert error_info(stale).metadata["current_version"] == "2"

    answer = await api.call(api.segments.RollbackSegment, place.segment_back("vip", 1))
    assert list(answer.resource.segment.included) == ["ada"]
    await place.delete_segment("vip")
    again = await api.call(api.segments.RollbackSegment, place.segment_back("vip", 2))
    assert list(again.resource.segment.included) == ["ada", "bob"]
    assert again.resource.segment.id == first.segment.id

    request = segment_service_pb2.ListSegmentVersionsRequest(name=place.segment("vip"))
    versions = (await api.call(api.segments.ListSegmentVersions, request)).versions
    assert [(each.version, each.HasField("resource")) for each in versions] == [
        (5, True),
        (4, False),
        (3, True),
        (2, True),
        (1, True),
    ]
