"""What `Resources` promises for every kind, whichever engine keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from services.runtime.errors import AlreadyExists, InvalidArgument, NotFound, StaleVersion
from services.storage.model import kinds
from services.storage.model.changes import Change, Committed, ItemChange, WriteOptions
from services.storage.model.credentials import (
    AccessToken,
    AccessTokenKind,
    SdkKey,
    SdkKeyKind,
)
from services.storage.model.kinds import FLAG, KINDS
from services.storage.model.queries import (
    And,
    AuditQuery,
    Contains,
    Equals,
    HasTag,
    Not,
    Or,
    OrderBy,
    Predicate,
    Query,
    StartsWith,
)
from services.storage.model.resource import INSTALLATION_ID, AnyKind, AnyStored
from services.storage.model.tags import Tag
from services.storage.model.tenancy import Environment as EnvironmentContent
from services.storage.model.tenancy import Organization, Project
from services.storage.ports.store import ControlStore
from tests.integration.storage.records import flag, full_flag, full_segment, segment
from tests.support.resources import ADA, Environment, delete, make_environment, only, update

NAME: Final = "organizations/acme/projects/shop/environments/production"


@dataclass(frozen=True)
class Sample:
    """A resource of a kind: its content, where it goes, its name, and a field to change."""

    kind: AnyKind
    content: Any
    scope_id: Callable[[Environment], str]
    path: str
    change: Callable[[Any], Any] = lambda content: replace(content, display_name="Changed")


def of_environment(environment: Environment) -> str:
    return environment.id


SAMPLES: Final = (
    Sample(
        kinds.ORGANIZATION,
        Organization("new", "New"),
        lambda _: INSTALLATION_ID,
        "organizations/new",
    ),
    Sample(
        kinds.PROJECT,
        Project("new", "New"),
        lambda environment: environment.organization_id,
        "organizations/acme/projects/new",
    ),
    Sample(
        kinds.ENVIRONMENT,
        EnvironmentContent("new", "New"),
        lambda environment: environment.project_id,
        "organizations/acme/projects/shop/environments/new",
        lambda content: replace(content, retention_days=7),
    ),
    Sample(
        kinds.SDK_KEY,
        SdkKey("Key", SdkKeyKind.SERVER, "hash", "wxyz"),
        of_environment,
        f"{NAME}/sdkKeys/",
        lambda content: replace(content, revoked_at=datetime.now(UTC).replace(microsecond=0)),
    ),
    Sample(
        kinds.ACCESS_TOKEN,
        AccessToken("Token", AccessTokenKind.SERVICE, "hash"),
        lambda environment: environment.organization_id,
        "organizations/acme/tokens/",
    ),
    Sample(
        kinds.TAG,
        Tag("new", "New", "A description", "#1f77b4"),
        lambda environment: environment.project_id,
        "organizations/acme/projects/shop/tags/new",
    ),
    Sample(FLAG, flag("new"), of_environment, f"{NAME}/flags/new"),
    Sample(kinds.SEGMENT, segment("s-1", "new"), of_environment, f"{NAME}/segments/new"),
)
of_every_kind = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind.name)


def creation(sample: Sample, environment: Environment, **fields: Any) -> Change:
    item = ItemChange(sample.kind, "create", None, sample.content)
    return Change(sample.scope_id(environment), ADA, (item,), **fields)


def updating(sample: Sample, stored: AnyStored, **fields: Any) -> Change:
    item = ItemChange(sample.kind, "update", stored, sample.change(stored.content))
    return Change(stored.meta.scope_id, ADA, (item,), **fields)


async def versions(control: ControlStore, stored: AnyStored) -> list[int]:
    page = await control.resources.history(stored.kind, stored.meta.scope_id, stored.key, 100, "")
    return [each.version for each in page.items]


def test_there_is_a_sample_of_every_kind() -> None:
    assert {sample.kind.name for sample in SAMPLES} == KINDS.keys()


@of_every_kind
async def test_a_resource_is_created_read_changed_and_deleted(
    control: ControlStore, environment: Environment, sample: Sample
) -> None:
    resources = control.resources
    made = only(await resources.commit(creation(sample, environment)))
    scope_id = sample.scope_id(environment)
    assert (made.meta.version, made.meta.scope_id) == (1, scope_id)
    assert made.meta.created_by == made.meta.updated_by == ADA
    assert await resources.get(sample.kind, scope_id, made.key) == made
    assert await resources.get_by_id(sample.kind, made.meta.id) == made
    assert await resources.find(sample.kind, scope_id, [made.key, "other"]) == [made]
    listed = await resources.list(sample.kind, scope_id, Query(10))
    assert made in listed.items

    changed = only(await resources.commit(updating(sample, made)))
    assert changed.meta.version == 2
    assert changed.content != made.content
    assert await resources.get(sample.kind, scope_id, made.key) == changed
    assert (await resources.version(sample.kind, scope_id, made.key, 1)).stored == made

    await delete(control, changed)
    for read in (
        resources.get(sample.kind, scope_id, made.key),
        resources.get_by_id(sample.kind, made.meta.id),
    ):
        with pytest.raises(NotFound):
            await read
    assert await versions(control, made) == [3, 2, 1]


@of_every_kind
async def test_every_change_leaves_an_audit_entry_that_shows_it(
    control: ControlStore, environment: Environment, sample: Sample
) -> None:
    resources = control.resources
    options = WriteOptions("r-1", "digest")
    made = only(
        await resources.commit(creation(sample, environment, comment="why", options=options))
    )
    changed = only(await resources.commit(updating(sample, made)))
    await delete(control, changed)

    path = sample.path if sample.path.endswith("new") else f"{sample.path}{made.meta.id}"
    found = await resources.list_audit_entries(AuditQuery(10, path=path))
    deletion, update_, creation_ = found.items
    assert [each.operation for each in found.items] == ["delete", "update", "create"]
    assert {(each.actor, each.kind, each.path) for each in found.items} == {
        (ADA, sample.kind.name, path)
    }
    assert (creation_.comment, creation_.request_id) == ("why", "r-1")
    seen = [(each.before_version, each.after_version) for each in found.items]
    assert seen == [(2, 3), (1, 2), (0, 1)]
    assert (creation_.before, deletion.after) == ("", "")
    assert json.loads(creation_.after)["version"] == 1
    assert json.loads(update_.before) == json.loads(creation_.after)
    assert json.loads(update_.after) == json.loads(deletion.before)
    assert "hash" not in json.loads(update_.after)
    assert (update_.revision > 0) is sample.kind.synced


@of_every_kind
async def test_validate_only_answers_and_writes_nothing(
    control: ControlStore, environment: Environment, sample: Sample
) -> None:
    resources = control.resources
    scope_id = sample.scope_id(environment)
    asked = WriteOptions("r-1", "digest", validate_only=True)
    before = await resources.list(sample.kind, scope_id, Query(10))
    answered = only(await resources.commit(creation(sample, environment, options=asked)))
    assert (answered.content, answered.meta.version) == (
        only(await resources.commit(creation(sample, environment, options=asked))).content,
        1,
    )
    assert await resources.list(sample.kind, scope_id, Query(10)) == before
    assert await resources.find_committed(scope_id, asked) is None
    entries = await resources.list_audit_entries(AuditQuery(1, scope_id=INSTALLATION_ID))
    assert entries.items[0].kind == "environment", "the one that the fixture made"
    taken = only(await resources.commit(creation(sample, environment)))
    if sample.kind.key_of:
        with pytest.raises(AlreadyExists):
            await resources.commit(creation(sample, environment, options=asked))
    rehearsed = only(await resources.commit(updating(sample, taken, options=asked)))
    assert rehearsed.meta.version == 2
    assert await versions(control, taken) == [1]


@of_every_kind
async def test_a_request_id_is_done_once_and_answered_alike(
    control: ControlStore, environment: Environment, sample: Sample
) -> None:
    resources = control.resources
    options = WriteOptions("r-1", "digest")
    change = creation(sample, environment, options=options)
    first = await resources.commit(change)
    made = only(first)
    await resources.commit(updating(sample, made))
    expected = replace(first, replayed=True, since=0, floor=0)
    assert await resources.commit(change) == expected
    assert await resources.find_committed(change.scope_id, options) == expected
    with pytest.raises(InvalidArgument, match="request_id"):
        await resources.commit(replace(change, options=WriteOptions("r-1", "another")))

    kept = Change(made.meta.scope_id, ADA, (), options=WriteOptions("r-2"), unchanged=(made,))
    await resources.commit(kept)
    again = await resources.commit(kept)
    assert (again.resources, again.unchanged, again.replayed) == ((), (made,), True)


@of_every_kind
async def test_a_change_that_is_based_on_an_old_version_is_stale(
    control: ControlStore, environment: Environment, sample: Sample
) -> None:
    resources = control.resources
    made = only(await resources.commit(creation(sample, environment)))
    changed = only(await resources.commit(updating(sample, made)))

    async def refused(before: AnyStored, expected: int = 0) -> str:
        item = ItemChange(sample.kind, "update", before, made.content, expected_version=expected)
        with pytest.raises(StaleVersion) as refusal:
            await resources.commit(Change(made.meta.scope_id, ADA, (item,)))
        return refusal.value.metadata["current_version"]

    assert await refused(made) == "2"
    assert await refused(changed, expected=1) == "2"
    assert await refused(changed, expected=3) == "2"
    assert await versions(control, made) == [2, 1]
    await delete(control, changed)
    with pytest.raises(StaleVersion):
        await resources.commit(updating(sample, changed))


async def test_the_deletion_of_an_environment_is_audited_above_it_with_all_that_was_below(
    control: ControlStore, environment: Environment
) -> None:
    resources = control.resources
    await resources.commit(creation(SAMPLES[-2], environment))
    stored = await resources.get_by_id(kinds.ENVIRONMENT, environment.id)
    await delete(control, stored)
    for query in (
        AuditQuery(10, scope_id=environment.organization_id),
        AuditQuery(10, scope_id=environment.project_id),
        AuditQuery(10, path=NAME),
    ):
        entries = (await resources.list_audit_entries(query)).items
        seen = [(each.operation, each.path) for each in entries][:2]
        assert seen == [("delete", NAME), ("create", f"{NAME}/flags/new")]
        assert entries[0].organization_id == environment.organization_id


async def test_audit_entries_are_filtered_by_scope_name_and_actor(
    control: ControlStore, environment: Environment
) -> None:
    resources = control.resources
    other = await make_environment(control, environment.project_id, "staging")
    bob = replace(ADA, id="bob-1")
    await resources.commit(creation(SAMPLES[-2], environment))
    await resources.commit(replace(creation(SAMPLES[-2], other), actor=bob))

    async def paths(**wanted: Any) -> list[str]:
        page = await resources.list_audit_entries(AuditQuery(10, **wanted))
        return [each.path.removeprefix("organizations/acme/projects/shop/") for each in page.items]

    ours, theirs = "environments/production/flags/new", "environments/staging/flags/new"
    assert await paths(scope_id=environment.id) == [ours]
    assert await paths(scope_id=other.id) == [theirs]
    assert await paths(scope_id=environment.project_id) == [
        *(theirs, ours),
        *("environments/staging", "environments/production"),
    ]
    assert await paths(actor_id="bob-1") == [theirs]
    assert await paths(path=f"{NAME}/flags") == [ours]
    assert await paths(path=f"{NAME}/flag") == []
    assert len(await paths()) == 6


@pytest.fixture
async def many(control: ControlStore, environment: Environment) -> Environment:
    """Flags `a` to `e` with tags, names in the other order, and one archived."""
    for number, key in enumerate("cabde"):
        record = flag(key, *(["odd"] if number % 2 else ["even", "x"]), enabled=number < 2)
        definition = replace(record.definition, archived=key == "e")
        named = replace(record, definition=definition, display_name=f"Flag {9 - ord(key) % 9}")
        item = ItemChange(FLAG, "create", None, named)
        await control.resources.commit(Change(environment.id, ADA, (item,)))
    return environment


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, "abcd"),
        (Equals("key", "b"), "b"),
        (Equals("enabled", True), "ac"),
        (HasTag("odd"), "ad"),
        (Equals("display_name", "flag 1"), ""),
        (StartsWith("display_name", "fLAG"), "abcd"),
        (StartsWith("display_name", "lag"), ""),
        (Contains("display_name", "LAG"), "abcd"),
        (Contains("display_name", "."), ""),
        (Not(HasTag("odd")), "bc"),
        (And((HasTag("odd"), Equals("enabled", True))), "a"),
        (Or((Equals("key", "b"), HasTag("odd"))), "abd"),
        (And(()), "abcd"),
        (Or(()), ""),
        (Not(Or(())), "abcd"),
    ],
)
async def test_lists_are_filtered_and_say_how_many_match(
    control: ControlStore, many: Environment, where: Predicate | None, expected: str
) -> None:
    page = await control.resources.list(FLAG, many.id, Query(10, where=where))
    assert "".join(each.key for each in page.items) == expected
    assert page.total == len(expected)
    first = await control.resources.list(FLAG, many.id, Query(1, where=where))
    assert first.total == len(expected)


@pytest.mark.parametrize(
    "where",
    [
        Equals("salt", "x"),
        Equals("enabled", "true"),
        Equals("key", True),
        Contains("enabled", "t"),
        Contains("key", "a\0"),
        Or(tuple(Equals("key", str(number)) for number in range(200))),
    ],
)
async def test_a_filter_that_the_kind_does_not_have_is_refused(
    control: ControlStore, many: Environment, where: Predicate
) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        await control.resources.list(FLAG, many.id, Query(10, where=where))
    assert [each.field for each in refusal.value.violations] == ["filter"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (OrderBy.KEY, "abcde"),
        (OrderBy.CREATED_AT, "cabde"),
        (OrderBy.UPDATED_AT, "abdec"),
        (OrderBy.DISPLAY_NAME, None),
    ],
)
@pytest.mark.parametrize("descending", [False, True])
async def test_lists_are_ordered_page_by_page(
    control: ControlStore,
    many: Environment,
    order: OrderBy,
    expected: str | None,
    descending: bool,
) -> None:
    resources = control.resources
    touched = await resources.get(FLAG, many.id, "c")
    await update(control, touched, description="newest")
    found: list[AnyStored] = []
    query = Query(2, order_by=order, descending=descending, include_archived=True)
    while True:
        page = await resources.list(FLAG, many.id, query)
        found += page.items
        if not page.next_token:
            break
        query = replace(query, token=page.next_token)
    if expected is None:
        names = [each.content.display_name for each in found]
        assert names == sorted(names, reverse=descending)
        assert len(names) == 5
    else:
        keys = "".join(each.key for each in found)
        assert keys == (expected[::-1] if descending else expected)


async def test_a_token_belongs_to_its_list(control: ControlStore, many: Environment) -> None:
    resources = control.resources
    token = (await resources.list(FLAG, many.id, Query(2))).next_token
    for other in (
        Query(2, token, where=HasTag("odd")),
        Query(2, token, order_by=OrderBy.DISPLAY_NAME),
        Query(2, token, descending=True),
        Query(2, token, include_archived=True),
    ):
        with pytest.raises(InvalidArgument) as refusal:
            await resources.list(FLAG, many.id, other)
        assert [each.field for each in refusal.value.violations] == ["page.token"]
    longer = await resources.list(FLAG, many.id, Query(100, token, is_basic=True))
    assert [each.key for each in longer.items] == ["c", "d"]


async def test_a_basic_list_has_lengths_in_place_of_long_lists(
    control: ControlStore, environment: Environment
) -> None:
    resources = control.resources
    made: Committed = await resources.commit(
        Change(
            environment.id,
            ADA,
            (
                ItemChange(FLAG, "create", None, full_flag()),
                ItemChange(kinds.SEGMENT, "create", None, full_segment()),
            ),
        )
    )
    query = Query(10, include_archived=True, is_basic=True)
    [row] = (await resources.list(FLAG, environment.id, query)).items
    whole = made.resources[0]
    assert whole is not None
    assert row.counts == {"variations": 2, "targeted_keys": 2, "rules": 1, "prerequisites": 1}
    assert row.is_basic
    definition = replace(whole.content.definition, targets=(), rules=())
    assert row.content == replace(whole.content, definition=definition)
    assert row.meta == whole.meta
    [row_of_segment] = (await resources.list(kinds.SEGMENT, environment.id, query)).items
    assert row_of_segment.counts == {"included": 1, "excluded": 1, "rules": 1}
    with pytest.raises(ValueError, match="basic"):
        await resources.commit(
            Change(environment.id, ADA, (ItemChange(FLAG, "delete", row, None),))
        )
