from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from services.runtime.errors import InvalidArgument, NotFound
from services.storage.model.end_users import UserFilter
from services.storage.model.pages import Page
from services.storage.mongodb import MongoStore
from services.storage.mongodb.driver import paging
from tests.integration.storage.records import change, create, delete, flag, segment
from tests.support.resources import Environment, make_environment, make_organization, make_project

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
        lambda token: store.items.list_flags(
            environment.id, 2, token, include_archived=False, tag=""
        )
    )
    assert [[one.item.key for one in page] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_full_last_page_has_no_token(store: MongoStore, environment: Environment) -> None:
    await store.resources.commit(change(environment.id, *create(flag("a"), flag("b"))))
    page = await store.items.list_flags(environment.id, 2, "", include_archived=True, tag="")
    assert (len(page.items), page.next_token) == (2, "")


async def test_a_page_of_large_items_ends_before_it_is_too_large_to_be_received(
    store: MongoStore, environment: Environment
) -> None:
    keys = tuple(f"{number:0>500}" for number in range(2_000))  # a megabyte
    large = [segment(f"s-{n}", f"k-{n}", included=keys) for n in range(5)]
    for each in large:
        await store.resources.commit(change(environment.id, *create(each)))
    pages = await all_pages(
        lambda token: store.items.list_segments(
            environment.id, 500, token, include_archived=False, tag=""
        )
    )
    assert [[one.item.key for one in page] for page in pages] == [
        ["k-0", "k-1", "k-2"],
        ["k-3", "k-4"],
    ]


async def test_an_item_that_is_larger_than_a_page_is_a_page_of_its_own(
    store: MongoStore, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_BYTES", 1)
    await store.resources.commit(change(environment.id, *create(flag("a"), flag("b"))))
    pages = await all_pages(
        lambda token: store.items.list_flags(
            environment.id, 500, token, include_archived=False, tag=""
        )
    )
    assert [[one.item.key for one in page] for page in pages] == [["a"], ["b"]]


async def test_lists_are_filtered_by_tag_and_may_include_archived_items(
    store: MongoStore, environment: Environment
) -> None:
    writes = create(
        flag("a", "beta"), flag("b"), flag("c", "beta", archived=True), segment("s", "s", "beta")
    )
    await store.resources.commit(change(environment.id, *writes))
    flags = await store.items.list_flags(environment.id, 10, "", include_archived=True, tag="beta")
    segments = await store.items.list_segments(
        environment.id, 10, "", include_archived=False, tag="beta"
    )
    assert [one.item.key for one in flags.items] == ["a", "c"]
    assert [one.item.key for one in segments.items] == ["s"]


async def test_those_of_the_keys_that_are_there_are_found(
    store: MongoStore, environment: Environment
) -> None:
    await store.resources.commit(change(environment.id, *create(flag("a"), segment("s-1", "vip"))))
    assert [one.item.key for one in await store.items.find_flags(environment.id, ["a", "x"])] == [
        "a"
    ]
    found = await store.items.find_segments(environment.id, ["vip", "s-1"])
    assert [one.item.id for one in found] == ["s-1"]


async def test_audit_entries_are_paged_newest_first(
    store: MongoStore, environment: Environment
) -> None:
    await store.resources.commit(change(environment.id, *create(flag("a"), flag("b"))))
    await store.resources.commit(change(environment.id, *create(flag("c"))))
    pages = await all_pages(
        lambda token: store.items.list_audit_entries(environment.id, 2, token, resource="")
    )
    names = [[entry.resource for entry in page] for page in pages]
    assert names == [["flag/c", "flag/b"], ["flag/a"]]


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
        await store.items.list_flags(environment.id, 2, token, include_archived=True, tag="")
    assert [one.field for one in refusal.value.violations] == ["page.token"]


async def test_lists_of_an_unknown_environment_are_not_found(store: MongoStore) -> None:
    for read in (
        store.items.list_flags("nowhere", 1, "", include_archived=True, tag=""),
        store.items.list_segments("nowhere", 1, "", include_archived=True, tag=""),
        store.items.list_audit_entries("nowhere", 1, "", resource=""),
        store.credentials.list_sdk_keys("nowhere", 1, ""),
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
    organizations = await all_pages(lambda token: store.tenancy.list_organizations(2, token))
    projects = await all_pages(
        lambda token: store.tenancy.list_projects(organization.meta.id, 1, token)
    )
    environments = await all_pages(
        lambda token: store.tenancy.list_environments(project.meta.id, 1, token)
    )
    assert [[one.key for one in page] for page in organizations] == [["a", "b"], ["c"]]
    assert [[one.key for one in page] for page in projects] == [["x"], ["y"]]
    assert [[one.key for one in page] for page in environments] == [["m"], ["n"]]
