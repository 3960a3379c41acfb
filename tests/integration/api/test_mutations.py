"""What holds for every RPC of the management API that writes, RPC by RPC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from featmesh.management.v1 import access_token_service_pb2 as tokens
from featmesh.management.v1 import audit_service_pb2 as audit
from featmesh.management.v1 import import_service_pb2 as imports
from featmesh.management.v1 import mutation_pb2
from featmesh.management.v1 import sdk_key_service_pb2 as sdk_keys
from featmesh.management.v1.page_pb2 import PageRequest
from services.storage.mongodb.driver.client import Connection, utc_now
from services.storage.mongodb.migrations import INDEXES
from tests.integration.api.mutations import (
    METHODS,
    MUTATIONS,
    NOUNS,
    VERSIONED,
    WRITING,
    Mutation,
    World,
    keyed,
)
from tests.support.api import ApiClient, flag_resource, segment_resource
from tests.support.resources import Environment
from tests.support.statuses import error_info, violations

pytestmark = pytest.mark.long(50)

of_each = pytest.mark.parametrize("mutation", MUTATIONS, ids=str)

Written = Callable[[], Awaitable[dict[str, list[Any]]]]

UNKNOWN = "organizations/nobody"


@pytest.fixture
async def world(api: ApiClient, environment: Environment) -> World:
    caller = await api.call(api.tokens.GetCaller, tokens.GetCallerRequest())
    found = World(api, environment, {}, {}, caller.caller.id)
    for noun in NOUNS:
        if noun.made is keyed or noun.kind in {"sdk_key", "access_token"}:
            one, two = await asyncio.gather(
                *(at_version_2(found, noun.name, name) for name in ("one", "two"))
            )
            found.names[noun.kind] = one, two
    await import_twice(found)
    old, older = await asyncio.gather(*(revoked_key(found, name) for name in ("old", "older")))
    found.resting["sdk_key"] = old, older
    return found


async def at_version_2(world: World, noun_name: str, name: str) -> str:
    """A new resource that was updated once; its name."""
    noun = next(each for each in NOUNS if each.name == noun_name)
    creation = METHODS[f"Create{noun.name}"]
    request = creation.request(parent=noun.parent(world), **{noun.field: noun.made(world, name)})
    made = getattr(await world.api.call(world.api.method(creation), request), noun.field)
    change = METHODS[f"Update{noun.name}"]
    changed = {"name": made.name, "display_name": f"{name} again"}
    await world.api.call(
        world.api.method(change), change.request(base_version=1, **{noun.field: changed})
    )
    return str(made.name)


async def import_twice(world: World) -> None:
    """Flags and segments: two as they are served, two archived."""
    for conflict, more in (
        (imports.IMPORT_CONFLICT_FAIL, ""),
        (imports.IMPORT_CONFLICT_REPLACE, "2"),
    ):
        request = imports.ImportItemsRequest(
            parent=world.environment.name,
            flags=[flag_resource(key, enabled=True, archived=key in "xy") for key in "fgxy"],
            segments=[segment_resource(key, archived=key in "xy") for key in "stxy"],
            conflict=conflict,
        )
        for flag in request.flags:
            flag.description = more
        for segment in request.segments:
            segment.description = more
        await world.api.call(world.api.imports.ImportItems, request)

    def names(collection: str, *keys: str) -> tuple[str, str]:
        one, two = (f"{world.environment.name}/{collection}/{key}" for key in keys)
        return one, two

    world.names |= {"flag": names("flags", "f", "g"), "segment": names("segments", "s", "t")}
    world.resting |= {"flag": names("flags", "x", "y"), "segment": names("segments", "x", "y")}


async def revoked_key(world: World, name: str) -> str:
    """A new SDK key that was revoked, which is its version 2; its name."""
    create = sdk_keys.CreateSdkKeyRequest(
        parent=world.environment.name,
        sdk_key=sdk_keys.SdkKey(kind=sdk_keys.SDK_KEY_KIND_SERVER, display_name=name),
    )
    made = (await world.api.call(world.api.sdk_keys.CreateSdkKey, create)).sdk_key
    revoke = sdk_keys.RevokeSdkKeyRequest(name=made.name)
    await world.api.call(world.api.sdk_keys.RevokeSdkKey, revoke)
    return str(made.name)


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


def rename(request: Any, path: str) -> None:
    """Names a place that is not there."""
    *above, field = path.split(".")
    for part in above:
        request = getattr(request, part)
    _, _, *below = getattr(request, field).split("/")
    setattr(request, field, "/".join([UNKNOWN, *below]))


def with_options(request: Any, **options: Any) -> Any:
    asked = type(request)()
    asked.CopyFrom(request)
    asked.options.CopyFrom(mutation_pb2.MutationOptions(**options))
    return asked


def test_the_table_has_every_rpc_that_takes_options() -> None:
    assert {each.name for each in MUTATIONS} == WRITING


WITHOUT_OPTIONS = {"ImportEndUsers", "ReplayDeadLetters", "DropDeadLetters"}
"""They write, and have their own ways to be repeated or rehearsed."""


def test_every_rpc_whose_permission_is_to_change_something_takes_options() -> None:
    reading = {"get", "list", "export", "evaluate", ""}
    changing = {
        name
        for name, method in METHODS.items()
        if method.access.permission.rpartition(".")[2] not in reading
    }
    assert changing == WRITING | WITHOUT_OPTIONS


@of_each
async def test_a_request_id_is_good_for_one_write_with_one_audit_entry(
    mutation: Mutation, world: World, written: Written
) -> None:
    one, other = mutation.requests(world)
    request = with_options(one, comment="because", request_id="once")
    known = {each.id for each in await entries(world)}
    first = await world.call(mutation, request)
    after_first = await settled(written)
    new = [each for each in await entries(world) if each.id not in known]
    check_audited(mutation, world, first, new)

    again = await world.call(mutation, request)

    if mutation.shows_secret:
        assert first.secret
        assert not again.secret
        first.secret = ""
    assert again == first, "it answers as the first time"
    assert await settled(written) == after_first

    error = await world.refused(mutation, with_options(other, request_id="once"))

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, "another change under the same id"
    assert set(violations(error)) == {"options.request_id"}
    assert await settled(written) == after_first


def check_audited(
    mutation: Mutation, world: World, answer: Any, new: list[audit.AuditEntry]
) -> None:
    """Says who did it, why, under which request id, and to what."""
    assert len(new) == (2 if mutation.name == "ImportItems" else 1)
    for entry in new:
        assert entry.actor.id == world.actor_id
        assert entry.comment.endswith("because")
        assert entry.request_id == "once"
    shown = [value for field, value in answer.ListFields() if field.message_type is not None]
    assert [each.name for each in shown] in ([], [new[0].resource])


@of_each
async def test_of_requests_with_one_id_at_once_one_writes_and_all_answer_alike(
    mutation: Mutation, world: World, written: Written
) -> None:
    request = with_options(mutation.requests(world)[0], request_id="once")
    answers = await asyncio.gather(*(world.call(mutation, request) for _ in range(4)))
    if mutation.shows_secret:
        assert sorted(bool(answer.secret) for answer in answers) == [False, False, False, True]
        for answer in answers:
            answer.secret = ""
    assert all(answer == answers[0] for answer in answers)
    kept = (await written())["requests"]
    assert len(kept) == 1


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
    if mutation.shows_secret:
        assert not rehearsed.secret
    real = await world.call(mutation, with_options(request, request_id="once"))
    assert without_what_a_write_makes(rehearsed) == without_what_a_write_makes(real)
    assert await written() != before, "the request was a good one, and its id was still free"


async def test_validate_only_refuses_what_the_write_would(world: World, written: Written) -> None:
    before = await written()
    for mutation in MUTATIONS:
        request = mutation.requests(world)[0]
        if mutation.name == "CreateOrganization":
            request.organization.key = "acme"
        else:
            rename(request, mutation.method.access.resource_field)
        rehearsed = await world.refused(mutation, with_options(request, validate_only=True))
        real = await world.refused(mutation, request)
        assert (rehearsed.code(), rehearsed.details()) == (real.code(), real.details()), mutation
        assert real.code() in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS}, mutation
    assert await written() == before


async def test_a_change_of_a_stale_version_is_aborted_with_the_current_one(
    world: World, written: Written
) -> None:
    before = await written()
    for mutation in VERSIONED:
        for validate_only in (False, True):
            request = with_options(mutation.requests(world)[0], validate_only=validate_only)
            request.base_version = 1
            error = await world.refused(mutation, request)
            assert error.code() == grpc.StatusCode.ABORTED, mutation
            assert error_info(error).reason == "STALE_VERSION"
            assert error_info(error).metadata["current_version"] == "2"
    assert await written() == before


def test_every_rpc_that_changes_what_is_there_takes_a_version() -> None:
    makes = {each.name for each in MUTATIONS if each.name.startswith(("Create", "Import"))}
    assert {each.name for each in VERSIONED} == WRITING - makes


async def test_what_is_already_so_is_not_in_the_audit_log(world: World) -> None:
    toggle = next(each for each in MUTATIONS if each.name == "ToggleFlag")
    off = toggle.requests(world)[0]
    await world.call(toggle, off)
    before = await entries(world)
    await world.call(toggle, off)
    assert await entries(world) == before


async def entries(world: World) -> list[audit.AuditEntry]:
    request = audit.ListAuditEntriesRequest(page=PageRequest(size=500))
    answer = await world.api.call(world.api.audit.ListAuditEntries, request)
    return list(answer.entries)


async def test_a_repeated_toggle_that_had_nothing_to_do_still_does_nothing(
    world: World, written: Written
) -> None:
    toggle = next(each for each in MUTATIONS if each.name == "ToggleFlag")
    off, on = toggle.requests(world)[0], toggle.requests(world)[0]
    on.enabled = True
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
    "name",
    "expires_at",
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
