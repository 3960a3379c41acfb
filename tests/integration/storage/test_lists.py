from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from services.runtime.errors import InvalidArgument, NotFound
from services.storage.model.end_users import UserFilter
from services.storage.model.kinds import (
    ENVIRONMENT,
    FLAG,
    ORGANIZATION,
    PROJECT,
    SDK_KEY,
    SEGMENT,
)
from services.storage.model.pages import Page
from services.storage.model.queries import AuditQuery, HasTag, Query
from services.storage.model.resource import INSTALLATION_ID, AnyKind
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver import paging
from tests.integration.storage.records import change, create, delete, flag, segment
from tests.support.resources import (
    Environment,
    make_environment,
    make_organization,
    make_project,
)

T = TypeVar("T")


async def all_pages(read: Callable[[str], Awaitable[Page[T]]]) -> list[list[T]]:
    """Every page, the token of each leading to the next."""
    pages: list[list[T]] = []
    token = ""
    while True:
        page = await read(token)
        pages.append(list(page.items))
        token = page.next_token
        if not token:
            return pages


async def test_flags_are_paged_by_key_without_deleted_and_archived_ones(
    store: MongoStore, environment: Environment
) -> None:
    records = [flag(key) for key in ("e", "b", "a", "d", "c")]
    gone, kept_away = flag("bb"), flag("cc", archived=True)
    done = await store.resources.commit(change(environment.id, *create(*records, gone, kept_away)))
    await store.resources.commit(change(environment.id, delete(done.resources[5])))
    pages = await all_pages(
        lambda token: store.resources.list(FLAG, environment.id, Query(2, token))
    )
    assert [[one.key for one in page] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_full_last_page_has_no_token(store: MongoStore, environment: Environment) -> None:
    await store.resources.commit(change(environment.id, *create(flag("a"), flag("b"))))
    page = await store.resources.list(FLAG, environment.id, Query(2, "", include_archived=True))
    assert (len(page.items), page.next_token) == (2, "")


async def test_a_page_of_large_items_ends_before_it_is_too_large_to_be_received(
    store: MongoStore, environment: Environment
) -> None:
    keys = tuple(f"{number:0>500}" for number in range(2_000))  # a megabyte
    large = [segment(f"s-{n}", f"k-{n}", included=keys) for n in range(5)]
    for each in large:
        await store.resources.commit(change(environment.id, *create(each)))
    pages = await all_pages(
        lambda token: store.resources.list(SEGMENT, environment.id, Query(500, token))
    )
    assert [[one.key for one in page] for page in pages] == [
        ["k-0", "k-1", "k-2"],
        ["k-3", "k-4"],
    ]


async def test_an_item_that_is_larger_than_a_page_is_a_page_of_its_own(
    store: MongoStore, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_BYTES", 1)
    await store.resources.commit(change(environment.id, *create(flag("a"), flag("b"))))
    pages = await all_pages(
        lambda token: store.resources.list(FLAG, environment.id, Query(500, token))
    )
    assert [[one.key for one in page] for page in pages] == [["a"], ["b"]]


async def test_lists_are_filtered_by_tag_and_may_include_archived_items(
    store: MongoStore, environment: Environment
) -> None:
    writes = create(
        flag("a", "beta"), flag("b"), flag("c", "beta", archived=True), segment("s", "s", "beta")
    )
    await store.resources.commit(change(environment.id, *writes))
    flags = await store.resources.list(
        FLAG, environment.id, Query(10, "", include_archived=True, where=HasTag("beta"))
    )
    segments = await store.resources.list(
        SEGMENT, environment.id, Query(10, "", where=HasTag("beta"))
    )
    assert [one.key for one in flags.items] == ["a", "c"]
    assert [one.key for one in segments.items] == ["s"]


async def test_those_of_the_keys_that_are_there_are_found(
    store: MongoStore, environment: Environment
) -> None:
    await store.resources.commit(change(environment.id, *create(flag("a"), segment("s-1", "vip"))))
    assert [one.key for one in await store.resources.find(FLAG, environment.id, ["a", "x"])] == [
        "a"
    ]
    found = await store.resources.find(SEGMENT, environment.id, ["vip", "s-1"])
    assert [one.content.definition.id for one in found] == ["s-1"]


async def test_audit_entries_are_paged_newest_first(
    store: MongoStore, environment: Environment
) -> None:
    await store.resources.commit(change(environment.id, *create(flag("a"), flag("b"))))
    await store.resources.commit(change(environment.id, *create(flag("c"))))
    pages = await all_pages(
        lambda token: store.resources.list_audit_entries(
            AuditQuery(2, token, scope_id=environment.id)
        )
    )
    names = [[entry.path.rpartition("/")[2] for entry in page] for page in pages]
    assert names == [["c", "b"], ["a"]]


@pytest.mark.parametrize(
    "token",
    [
        "!",
        "é",
        "AAAA",
        "W10",  # []
        "WzFd",  # [1], where a text belongs
        "W3siJGd0IjoiIn1d",  # [{"$gt":""}]
        "WyJhIiwiYiJd",  # ["a","b"]
        "eyJhIjoxfQ",  # {"a":1}
    ],
)
async def test_a_token_that_no_list_gave_is_refused(
    store: MongoStore, environment: Environment, token: str
) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        await store.resources.list(FLAG, environment.id, Query(2, token, include_archived=True))
    assert [one.field for one in refusal.value.violations] == ["page.token"]


async def test_lists_of_an_unknown_environment_are_not_found(store: MongoStore) -> None:
    for read in (
        store.resources.list(FLAG, "nowhere", Query(1, "", include_archived=True)),
        store.resources.list(SEGMENT, "nowhere", Query(1, "", include_archived=True)),
        store.resources.list_audit_entries(AuditQuery(1, scope_id="nowhere")),
        store.resources.list(SDK_KEY, "nowhere", Query(1)),
        store.end_users.search_end_users("nowhere", 1, "", user_filter=UserFilter()),
    ):
        with pytest.raises(NotFound):
            await read


async def test_organizations_projects_and_environments_are_paged_by_key(
    store: MongoStore,
) -> None:
    for key in ("b", "c", "a"):
        organization = await make_organization(store, key)
    for key in ("y", "x"):
        project = await make_project(store, organization.meta.id, key)
    for key in ("n", "m"):
        await make_environment(store, project.meta.id, key)

    async def keys(kind: AnyKind, scope_id: str, size: int) -> list[list[str]]:
        pages = await all_pages(
            lambda token: store.resources.list(kind, scope_id, Query(size, token))
        )
        return [[one.key for one in page] for page in pages]

    assert await keys(ORGANIZATION, INSTALLATION_ID, 2) == [["a", "b"], ["c"]]
    assert await keys(PROJECT, organization.meta.id, 1) == [["x"], ["y"]]
    assert await keys(ENVIRONMENT, project.meta.id, 1) == [["m"], ["n"]]
