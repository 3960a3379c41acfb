"""PropagationService: how far a change has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Final

from featmesh.management.v1 import propagation_service_pb2 as pb
from services.api.read.propagation_state import PropagationState, Spread, propagation_state
from services.api.rpc.call import Call
from services.api.rpc.dispatch import Behaviour
from services.runtime.errors import (
    DeadlineExceeded,
    InvalidArgument,
    ResourceExhausted,
    StoreUnavailable,
)
from services.storage.model.kinds import ENVIRONMENT
from services.storage.model.progress import StreamProgress
from services.storage.ports.progress import ProgressStore
from services.storage.ports.resources import Resources

SERVICE: Final = pb.DESCRIPTOR.services_by_name["PropagationService"]

WATCHES: Final = 100
"""Number of watches open at once above which further ones are refused."""

LONGEST_SECONDS: Final = 600.0
"""Seconds after which a watch ends, complete or not."""

LOOK_SECONDS: Final = 0.2
"""Seconds between two reads of an environment's progress, however many watch it."""


class PropagationMethods:
    """Watches changes on their way."""

    def __init__(self, resources: Resources, progress: ProgressStore) -> None:
        self._resources = resources
        self._watches = Watches(progress)

    def methods(self) -> dict[str, Behaviour]:
        """Returns all of them."""
        return {"WatchPropagation": self.watch}

    async def watch(
        self, request: pb.WatchPropagationRequest, call: Call
    ) -> AsyncIterator[pb.WatchPropagationResponse]:
        """Tells the state until it is complete."""
        revision = await self._revision(request.revision, call.scope_id)
        async with aclosing(self._watches.watch(call.scope_id, revision)) as states:
            async for state in states:
                yield _response(state)

    async def _revision(self, asked: int, environment_id: str) -> int:
        """Returns the one to watch; raises `InvalidArgument` for one that is still to come."""
        current = (await self._resources.get_by_id(ENVIRONMENT, environment_id)).meta.revision
        if asked > current:
            text = f"is {asked}; it must be from 1 to the environment's {current}, or 0"
            raise InvalidArgument.of("revision", text)
        return asked or current


class Watches:
    """All open watches. Those of one environment share the reads of its progress."""

    def __init__(self, progress: ProgressStore) -> None:
        self._progress = progress
        self._looks: dict[str, _Look] = {}
        self._watches = 0

    async def watch(
        self, environment_id: str, revision: int
    ) -> AsyncGenerator[PropagationState, None]:
        """The state at once and whenever it differs; the last one is complete.

        Raises `ResourceExhausted` beyond `WATCHES`, `DeadlineExceeded` after
        `LONGEST_SECONDS`, `StoreUnavailable` when not even the first look succeeds; later
        ones are tried again.
        """
        with self._watching(environment_id) as look:
            state = propagation_state(await look.progresses(self._progress), revision)
            yield state
            end = asyncio.get_running_loop().time() + LONGEST_SECONDS
            while not state.complete:
                await asyncio.sleep(LOOK_SECONDS)
                if asyncio.get_running_loop().time() >= end:
                    raise DeadlineExceeded(f"not complete within {LONGEST_SECONDS:g} seconds")
                try:
                    progresses = await look.progresses(self._progress)
                except StoreUnavailable:
                    continue  # it may come back; the caller's deadline bounds the waiting
                before, state = state, propagation_state(progresses, revision)
                if state != before:
                    yield state

    @contextmanager
    def _watching(self, environment_id: str) -> Iterator[_Look]:
        if self._watches >= WATCHES:
            raise ResourceExhausted(f"{WATCHES} changes are watched already")
        self._watches += 1
        look = self._looks.setdefault(environment_id, _Look(environment_id))
        look.watches += 1
        try:
            yield look
        finally:
            self._watches -= 1
            look.watches -= 1
            if not look.watches:
                del self._looks[environment_id]


class _Look:
    """The latest progress of one environment, as old as `LOOK_SECONDS` at most."""

    def __init__(self, environment_id: str) -> None:
        self.watches = 0
        self._environment_id = environment_id
        self._one_reads = asyncio.Lock()
        self._read_at = float("-inf")
        self._progresses: list[StreamProgress] = []

    async def progresses(self, store: ProgressStore) -> list[StreamProgress]:
        async with self._one_reads:
            now = asyncio.get_running_loop().time()
            if now - self._read_at >= LOOK_SECONDS:
                self._progresses = await store.read_progress(self._environment_id)
                self._read_at = now
        return self._progresses


def _response(state: PropagationState) -> pb.WatchPropagationResponse:
    return pb.WatchPropagationResponse(
        revision=state.revision,
        connected_streams=state.connected,
        delivered_streams=state.delivered,
        applied_streams=state.applied,
        delivered=_times(state.delivery),
        applied=_times(state.application),
        complete=state.complete,
    )


def _times(spread: Spread) -> pb.PropagationTimes:
    return pb.PropagationTimes(p50_ms=spread.p50_ms, p99_ms=spread.p99_ms, streams=spread.streams)
