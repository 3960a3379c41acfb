from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc import aio

from featmesh.management.v1 import propagation_service_pb2 as pb
from services.storage.model.progress import RevisionProgress, StreamProgress
from services.storage.mongodb import MongoStore
from tests.support.api import ApiClient
from tests.support.resources import NOWHERE, Environment
from tests.support.statuses import error_info, violations
from tests.support.waiting import PATIENCE


def progress(
    streams: int, *revisions: tuple[int, int, int], environment_id: str = "e"
) -> StreamProgress:
    """Of revisions, each with how many streams were handed and have applied just this one."""
    return StreamProgress(
        environment_id, streams, tuple(RevisionProgress(*each, {}, {}) for each in revisions)
    )


class Watch:
    """One open call, and what it has been told last."""

    def __init__(self, api: ApiClient, name: str, revision: int = 0) -> None:
        request = pb.WatchPropagationRequest(name=name, revision=revision)
        call = api.propagation.WatchPropagation(request, metadata=api.metadata, timeout=PATIENCE)
        self._states: AsyncIterator[pb.WatchPropagationResponse] = aiter(call)
        self.call = call

    async def next(self) -> tuple[int, int, int]:
        """Connected, delivered, applied."""
        state = await anext(self._states)
        return state.connected_streams, state.delivered_streams, state.applied_streams

    async def rest(self) -> list[pb.WatchPropagationResponse]:
        return [state async for state in self._states]


async def write(store: MongoStore, process: str, taken: StreamProgress) -> None:
    await store.progress.report_process(process)
    await store.progress.write_progress(process, [taken], [])


async def test_a_watch_tells_the_state_at_once_and_each_change_until_it_is_complete(
    api: ApiClient, store: MongoStore, environment: Environment
) -> None:
    at = environment.revision

    async def counted(process: str, streams: int, delivered: int, applied: int) -> None:
        taken = progress(streams, (at, delivered, applied), environment_id=environment.id)
        await write(store, process, taken)

    await counted("p1", 2, 0, 0)
    await counted("p2", 1, 1, 1)
    watch = Watch(api, environment.name, at)
    assert await watch.next() == (3, 1, 1)
    await counted("p1", 2, 2, 1)
    assert await watch.next() == (3, 3, 2)
    await counted("p1", 2, 2, 2)
    (end,) = await watch.rest()
    assert (end.applied_streams, end.complete, end.revision) == (3, True, at)


async def test_a_process_that_went_away_is_not_waited_for(
    api: ApiClient, store: MongoStore, environment: Environment
) -> None:
    await write(store, "p1", progress(5, environment_id=environment.id))
    watch = Watch(api, environment.name)
    assert await watch.next() == (5, 0, 0)
    await store.progress.remove_process("p1")
    (end,) = await watch.rest()
    assert (end.connected_streams, end.complete) == (0, True)


async def test_without_any_stream_a_watch_ends_at_once(
    api: ApiClient, environment: Environment
) -> None:
    (end,) = await Watch(api, environment.name).rest()
    assert (end.revision, end.connected_streams, end.complete) == (environment.revision, 0, True)


async def test_what_cannot_be_watched_is_refused(api: ApiClient, environment: Environment) -> None:
    for name, revision, code in (
        (NOWHERE, 0, grpc.StatusCode.NOT_FOUND),
        (environment.name, environment.revision + 1, grpc.StatusCode.INVALID_ARGUMENT),
        (environment.name, -1, grpc.StatusCode.INVALID_ARGUMENT),
        ("", 0, grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(aio.AioRpcError) as caught:
            await Watch(api, name, revision).rest()
        assert caught.value.code() == code
    assert list(violations(caught.value)) == ["name"]


async def test_too_many_watches_are_refused_and_one_that_ends_makes_room(
    api: ApiClient,
    store: MongoStore,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.api.read.propagation.WATCHES", 1)
    await write(store, "p1", progress(1, environment_id=environment.id))
    first = Watch(api, environment.name)
    await first.next()
    with pytest.raises(aio.AioRpcError) as caught:
        await Watch(api, environment.name).next()
    assert error_info(caught.value).reason == "RESOURCE_EXHAUSTED"
    first.call.cancel()
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                assert await Watch(api, environment.name).next() == (1, 0, 0)
                return
            except aio.AioRpcError as error:
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # noqa: PT017 -- not yet


async def test_a_watch_that_is_never_complete_ends(
    api: ApiClient,
    store: MongoStore,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.api.read.propagation.LONGEST_SECONDS", 0.3)
    await write(store, "p1", progress(1, environment_id=environment.id))
    with pytest.raises(aio.AioRpcError) as caught:
        await Watch(api, environment.name).rest()
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert error_info(caught.value).reason == "DEADLINE_EXCEEDED"


async def test_without_a_token_nothing_is_told(api: ApiClient, environment: Environment) -> None:
    anonymous = ApiClient(api.channel, "")
    with pytest.raises(aio.AioRpcError) as caught:
        await Watch(anonymous, environment.name).rest()
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
