from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import aio

from featmesh.flag.v1 import flag_pb2
from featmesh.management.v1 import audit_service_pb2, flag_service_pb2
from featmesh.management.v1.mutation_pb2 import MutationOptions
from featmesh.management.v1.page_pb2 import VIEW_BASIC, PageRequest
from services.storage.mongodb import MongoStore
from tests.support.api import ACTOR, ApiClient, boolean_flag, flag_resource, rollout
from tests.support.resources import Environment
from tests.support.statuses import error_info, violations


class Flags:
    """FlagService of one environment."""

    def __init__(self, api: ApiClient, environment: Environment) -> None:
        self.api = api
        self.id = environment.id
        self.parent = environment.name

    async def create(self, resource: flag_service_pb2.FlagResource, **options: Any) -> Any:
        request = flag_service_pb2.CreateFlagRequest(
            parent=self.parent, resource=resource, options=MutationOptions(**options)
        )
        return (await self.api.call(self.api.flags.CreateFlag, request)).resource

    async def get(self, key: str) -> Any:
        request = flag_service_pb2.GetFlagRequest(name=self.named(key))
        return (await self.api.call(self.api.flags.GetFlag, request)).resource

    def named(self, key: str) -> str:
        return f"{self.parent}/flags/{key}"

    def update(
        self, resource: flag_service_pb2.FlagResource, *paths: str, **options: Any
    ) -> flag_service_pb2.UpdateFlagRequest:
        return flag_service_pb2.UpdateFlagRequest(
            resource=resource,
            update_mask=FieldMask(paths=paths or ["*"]),
            base_version=resource.meta.version,
            options=MutationOptions(**options),
        )

    async def toggle(self, key: str, enabled: bool, **options: Any) -> Any:
        request = flag_service_pb2.ToggleFlagRequest(
            name=self.named(key), enabled=enabled, options=MutationOptions(**options)
        )
        return (await self.api.call(self.api.flags.ToggleFlag, request)).resource

    def archive(self, key: str) -> flag_service_pb2.ArchiveFlagRequest:
        return flag_service_pb2.ArchiveFlagRequest(name=self.named(key))

    def delete(self, key: str, **options: Any) -> flag_service_pb2.DeleteFlagRequest:
        return flag_service_pb2.DeleteFlagRequest(
            name=self.named(key), options=MutationOptions(**options)
        )


@pytest.fixture
def flags(api: ApiClient, environment: Environment) -> Flags:
    return Flags(api, environment)


def needing(key: str, other: str, variation_id: str = "on") -> flag_service_pb2.FlagResource:
    prerequisite = flag_pb2.Prerequisite(flag_key=other, variation_id=variation_id)
    return flag_resource(key, prerequisites=[prerequisite])


async def test_a_created_flag_is_read_back_with_what_the_server_set(flags: Flags) -> None:
    rule = flag_pb2.Rule(rollout=rollout("off"))
    created = await flags.create(flag_resource("new-cart", rules=[rule]), comment="first")

    assert created.name == flags.named("new-cart")
    assert created.flag.version == created.meta.version == 1
    assert created.flag.revision == created.meta.revision > 0
    assert created.flag.salt == "new-cart"
    assert created.flag.rules[0].id
    assert created.meta.created_by == created.meta.updated_by
    assert created.meta.created_by.display_name == ACTOR
    assert created.meta.created_at.ToSeconds() > 0
    assert await flags.get("new-cart") == created


async def test_flags_are_listed_in_pages_by_key(flags: Flags) -> None:
    for key in ("b", "c", "a"):
        await flags.create(flag_resource(key))
    request = flag_service_pb2.ListFlagsRequest(parent=flags.parent, page=PageRequest(size=2))
    first = await flags.api.call(flags.api.flags.ListFlags, request)
    request.page.token = first.next_token
    second = await flags.api.call(flags.api.flags.ListFlags, request)

    keys = [[each.flag.key for each in page.resources] for page in (first, second)]
    assert keys == [["a", "b"], ["c"]]
    assert not second.next_token


async def test_an_update_replaces_the_version_that_it_is_based_on(flags: Flags) -> None:
    resource = await flags.create(flag_resource("f"))
    resource.display_name = "Renamed"
    resource.flag.ClearField("salt")
    resource.flag.fallthrough.CopyFrom(rollout("off"))

    answer = await flags.api.call(flags.api.flags.UpdateFlag, flags.update(resource))

    assert answer.resource.flag.version == 2
    assert answer.resource.flag.salt == "f"
    assert answer.resource.display_name == "Renamed"
    assert await flags.get("f") == answer.resource


async def test_an_update_changes_what_its_mask_names_and_nothing_else(flags: Flags) -> None:
    resource = await flags.create(flag_resource("f"))
    sent = flag_service_pb2.FlagResource(
        name=resource.name, display_name="Renamed", meta=resource.meta
    )
    sent.description = "not in the mask"

    request = flags.update(sent, "display_name")
    updated = (await flags.api.call(flags.api.flags.UpdateFlag, request)).resource
    assert (updated.display_name, updated.description) == ("Renamed", "")
    assert updated.flag.variations == resource.flag.variations

    sent.meta.version = 2
    request = flags.update(sent)
    request.update_mask.Clear()
    updated = (await flags.api.call(flags.api.flags.UpdateFlag, request)).resource
    assert updated.description == "not in the mask", "without a mask, what is set"
    assert updated.flag.variations == resource.flag.variations


async def test_a_mask_may_name_only_what_an_operator_sets(flags: Flags) -> None:
    resource = await flags.create(flag_resource("f"))
    request = flags.update(resource, "display_name", "meta", "nothing")
    error = await flags.api.refused(flags.api.flags.UpdateFlag, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(error)) == {"update_mask"}


async def test_a_key_never_changes(flags: Flags) -> None:
    resource = await flags.create(flag_resource("f"))
    resource.flag.key = "g"
    error = await flags.api.refused(flags.api.flags.UpdateFlag, flags.update(resource))
    assert set(violations(error)) == {"resource.flag.key"}


async def test_a_list_is_filtered_sorted_and_counted(flags: Flags) -> None:
    for key, enabled in (("a", True), ("b", False), ("c", True), ("d", True)):
        resource = flag_resource(key, enabled=enabled)
        resource.tags.extend(["checkout"] if key != "d" else ["search"])
        await flags.create(resource)
    request = flag_service_pb2.ListFlagsRequest(
        parent=flags.parent,
        filter="tags:checkout AND enabled = true",
        order_by="display_name desc",
        page=PageRequest(size=1),
    )
    first = await flags.api.call(flags.api.flags.ListFlags, request)
    request.page.token = first.next_token
    second = await flags.api.call(flags.api.flags.ListFlags, request)

    listed = [each.flag.key for page in (first, second) for each in page.resources]
    assert listed == ["c", "a"]
    assert first.total_size == second.total_size == 2
    assert not second.next_token


async def test_a_token_is_good_for_the_list_that_it_is_of_alone(flags: Flags) -> None:
    for key in "ab":
        await flags.create(flag_resource(key))
    request = flag_service_pb2.ListFlagsRequest(parent=flags.parent, page=PageRequest(size=1))
    page = await flags.api.call(flags.api.flags.ListFlags, request)
    for filter_text, order in (("key:a", ""), ("", "key desc")):
        other = flag_service_pb2.ListFlagsRequest(
            parent=flags.parent,
            page=PageRequest(size=1, token=page.next_token),
            filter=filter_text,
            order_by=order,
        )
        error = await flags.api.refused(flags.api.flags.ListFlags, other)
        assert set(violations(error)) == {"page.token"}


async def test_a_basic_list_counts_what_it_leaves_out(flags: Flags) -> None:
    target = flag_pb2.Target(variation_id="on", keys=["u1", "u2", "u3"])
    await flags.create(flag_resource("base"))
    resource = needing("f", "base")
    resource.flag.targets.append(target)
    resource.flag.rules.add(rollout=rollout("on"))
    await flags.create(resource)
    request = flag_service_pb2.ListFlagsRequest(
        parent=flags.parent, filter="key = f", view=VIEW_BASIC
    )
    (listed,) = (await flags.api.call(flags.api.flags.ListFlags, request)).resources

    assert listed.counts == flag_service_pb2.FlagCounts(
        variations=2, targeted_keys=3, rules=1, prerequisites=1
    )
    assert not listed.flag.targets
    assert not listed.flag.rules
    full = await flags.get("f")
    assert not full.HasField("counts")
    assert len(full.flag.targets) == 1


@pytest.mark.parametrize("bad", ["colour = red", "enabled = perhaps", "key =", "(key = a", "key"])
async def test_a_filter_that_cannot_be_read_is_refused_with_its_position(
    flags: Flags, bad: str
) -> None:
    request = flag_service_pb2.ListFlagsRequest(parent=flags.parent, filter=bad)
    error = await flags.api.refused(flags.api.flags.ListFlags, request)
    assert "at character" in violations(error)["filter"]


async def test_a_list_is_ordered_by_what_there_is(flags: Flags) -> None:
    request = flag_service_pb2.ListFlagsRequest(parent=flags.parent, order_by="colour")
    error = await flags.api.refused(flags.api.flags.ListFlags, request)
    assert set(violations(error)) == {"order_by"}


async def test_ids_stand_for_keys_and_answers_use_keys(flags: Flags) -> None:
    created = await flags.create(flag_resource("f"))
    name = f"organizations/-/projects/-/environments/{flags.id}/flags/f"
    request = flag_service_pb2.GetFlagRequest(name=name)
    assert (await flags.api.call(flags.api.flags.GetFlag, request)).resource == created


async def test_a_stale_update_is_aborted_and_changes_nothing(flags: Flags) -> None:
    resource = await flags.create(flag_resource("f"))
    toggled = await flags.toggle("f", True)

    error = await flags.api.refused(flags.api.flags.UpdateFlag, flags.update(resource))

    assert error.code() == grpc.StatusCode.ABORTED
    assert error_info(error).reason == "STALE_VERSION"
    assert error_info(error).metadata["current_version"] == "2"
    assert await flags.get("f") == toggled


async def test_an_update_must_say_what_it_is_based_on(flags: Flags) -> None:
    resource = await flags.create(flag_resource("f"))
    resource.meta.Clear()
    error = await flags.api.refused(flags.api.flags.UpdateFlag, flags.update(resource))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(error)) == {"base_version"}


async def test_toggling_to_what_is_already_so_writes_nothing(
    flags: Flags, store: MongoStore
) -> None:
    await flags.create(flag_resource("f"))
    first = await flags.toggle("f", True)
    before = await store.definitions.read_heads([flags.id])
    again = await flags.toggle("f", True)

    assert first.flag.enabled
    assert again == first
    assert await store.definitions.read_heads([flags.id]) == before


async def test_a_repeated_request_id_answers_with_the_first_outcome(flags: Flags) -> None:
    first = await flags.create(flag_resource("f"), request_id="r1")
    assert await flags.create(flag_resource("f"), request_id="r1") == first

    request = flags.delete("f", request_id="r2")
    deleted = await flags.api.call(flags.api.flags.DeleteFlag, request)
    assert await flags.api.call(flags.api.flags.DeleteFlag, request) == deleted


async def test_deleting_an_absent_flag_with_a_new_request_id_is_not_found(flags: Flags) -> None:
    error = await flags.api.refused(
        flags.api.flags.DeleteFlag, flags.delete("none", request_id="new")
    )
    assert error.code() == grpc.StatusCode.NOT_FOUND


async def test_validate_only_answers_as_the_write_would_and_writes_nothing(flags: Flags) -> None:
    preview = await flags.create(flag_resource("f"), validate_only=True)
    assert preview.flag.version == 1

    request = flag_service_pb2.GetFlagRequest(name=flags.named("f"))
    missing = await flags.api.refused(flags.api.flags.GetFlag, request)
    assert missing.code() == grpc.StatusCode.NOT_FOUND

    stored = await flags.create(flag_resource("f"))
    taken = flag_service_pb2.CreateFlagRequest(
        parent=flags.parent,
        resource=flag_resource("f"),
        options=MutationOptions(validate_only=True),
    )
    error = await flags.api.refused(flags.api.flags.CreateFlag, taken)
    assert error.code() == grpc.StatusCode.ALREADY_EXISTS
    assert (await flags.toggle("f", True, validate_only=True)).flag.enabled
    assert await flags.get("f") == stored


async def test_of_two_concurrent_creators_of_one_key_exactly_one_wins(flags: Flags) -> None:
    outcomes = await asyncio.gather(
        *(flags.create(flag_resource("same")) for _ in range(2)), return_exceptions=True
    )
    errors = [each for each in outcomes if isinstance(each, aio.AioRpcError)]
    assert [error.code() for error in errors] == [grpc.StatusCode.ALREADY_EXISTS]
    assert (await flags.get("same")).flag.version == 1


async def test_concurrent_changes_that_look_at_one_another_all_succeed(flags: Flags) -> None:
    await flags.create(flag_resource("base"))
    keys = [f"top-{number}" for number in range(4)]
    await asyncio.gather(*(flags.create(needing(key, "base")) for key in keys))
    assert [(await flags.get(key)).flag.version for key in keys] == [1, 1, 1, 1]


async def test_a_flag_cannot_be_deleted_while_another_begins_to_need_it(flags: Flags) -> None:
    await flags.create(flag_resource("base"))
    deletion = flags.api.call(flags.api.flags.DeleteFlag, flags.delete("base"))
    outcomes = await asyncio.gather(
        flags.create(needing("top", "base")), deletion, return_exceptions=True
    )
    assert sum(isinstance(each, aio.AioRpcError) for each in outcomes) == 1


async def test_an_unknown_environment_is_not_found(flags: Flags) -> None:
    parent = "organizations/-/projects/-/environments/7c9e6679-7425-40de-944b-e07fc1f90ae7"
    request = flag_service_pb2.CreateFlagRequest(parent=parent, resource=flag_resource("f"))
    error = await flags.api.refused(flags.api.flags.CreateFlag, request)
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert error_info(error).reason == "NOT_FOUND"


async def test_a_needed_flag_can_be_neither_archived_nor_deleted(flags: Flags) -> None:
    base = await flags.create(flag_resource("base"))
    await flags.create(needing("top", "base"))

    archived = await flags.api.refused(flags.api.flags.ArchiveFlag, flags.archive("base"))
    deleted = await flags.api.refused(flags.api.flags.DeleteFlag, flags.delete("base"))

    for error in (archived, deleted):
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "flag 'top'" in (error.details() or "")
    assert await flags.get("base") == base


async def test_a_needed_variation_cannot_be_removed(flags: Flags) -> None:
    await flags.create(flag_resource("base"))
    await flags.create(needing("top", "base", "off"))
    resource = await flags.get("base")
    del resource.flag.variations[1]
    resource.flag.off_variation_id = "on"

    error = await flags.api.refused(flags.api.flags.UpdateFlag, flags.update(resource))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_a_flag_that_nobody_needs_any_more_can_be_deleted(flags: Flags) -> None:
    await flags.create(flag_resource("base"))
    top = await flags.create(needing("top", "base"))
    await flags.api.call(flags.api.flags.ArchiveFlag, flags.archive("top"))

    answer = await flags.api.call(flags.api.flags.DeleteFlag, flags.delete("base"))
    assert answer.revision > top.flag.revision

    restore = flag_service_pb2.RestoreFlagRequest(name=flags.named("top"))
    restored = await flags.api.refused(flags.api.flags.RestoreFlag, restore)
    assert restored.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "does not exist" in (restored.details() or "")


async def test_a_cycle_of_prerequisites_is_refused(flags: Flags) -> None:
    resource = await flags.create(flag_resource("a"))
    await flags.create(needing("b", "a"))
    resource.flag.prerequisites.add(flag_key="b", variation_id="on")

    error = await flags.api.refused(flags.api.flags.UpdateFlag, flags.update(resource))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "'a' → 'b' → 'a'" in violations(error)["resource.flag.prerequisites"] or (
        "'b' → 'a' → 'b'" in violations(error)["resource.flag.prerequisites"]
    )


async def test_references_to_what_is_not_there_are_refused(flags: Flags) -> None:
    await flags.create(flag_resource("base"))
    resource = needing("f", "base", "purple")
    resource.flag.prerequisites.add(flag_key="ghost", variation_id="on")
    rule = resource.flag.rules.add(rollout=rollout("on"))
    rule.conditions.add(operator="OPERATOR_IN_SEGMENT", values=["nowhere"])
    request = flag_service_pb2.CreateFlagRequest(parent=flags.parent, resource=resource)

    error = await flags.api.refused(flags.api.flags.CreateFlag, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(error)) == {
        "resource.flag.prerequisites[0].variation_id",
        "resource.flag.prerequisites[1].flag_key",
        "resource.flag.rules[0].conditions[0].values[0]",
    }


async def test_every_change_is_in_the_audit_log_newest_first(flags: Flags) -> None:
    await flags.create(flag_resource("f"), comment="because")
    await flags.toggle("f", True)
    await flags.api.call(flags.api.flags.DeleteFlag, flags.delete("f"))

    request = audit_service_pb2.ListAuditEntriesRequest(
        parent=flags.parent, filter=f'resource = "{flags.named("f")}"', contents=True
    )
    entries = (await flags.api.call(flags.api.audit.ListAuditEntries, request)).entries
    assert [each.operation for each in entries] == ["delete", "toggle", "create"]
    assert entries[2].comment == "because"
    assert {each.actor.display_name for each in entries} == {ACTOR}
    assert not entries[2].before_json
    assert not entries[0].after_json


async def test_a_flag_of_more_than_a_mebibyte_is_stored(flags: Flags) -> None:
    keys = [f"{number:06d}-{'x' * 24}" for number in range(60_000)]
    flag = boolean_flag("big", targets=[flag_pb2.Target(variation_id="on", keys=keys)])
    resource = flag_service_pb2.FlagResource(flag=flag, display_name="Big")
    assert (await flags.create(resource)).flag.targets[0].keys == keys
