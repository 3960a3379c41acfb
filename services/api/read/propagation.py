"""RolloutService: how far a change has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Final

from featmesh.management.v1 import rollout_service_pb2 as pb
from featmesh.management.v1 import rollout_service_pb2_grpc
from services.api.read.propagation_state import RolloutState, Spread, rollout_state
from services.api.rpc.validation.faults import Faults
from services.api.rpc.validation.requests import check_id
from services.runtime.errors import DeadlineExceeded, ResourceExhausted, StoreUnavailable
from services.storage.model.kinds import ENVIRONMENT
from services.storage.model.progress import StreamProgress
from services.storage.ports.progress import ProgressStore
from services.storage.ports.resources import Resources

WATCHES: Final = 100
"""Open at once; further ones are refused."""

LONGEST_SECONDS: Final = 600.0
"""A watch ends after so long, complete or not."""

LOOK_SECONDS: Final = 0.2
"""Between two reads of an environment's censuses, however many watch it."""


class RolloutServicer(rollout_service_pb2_grpc.RolloutServiceServicer):
    """Checks, watches, answers."""

    def __init__(self, resources: Resources, progress: ProgressStore) -> None:
        self._resources = resources
        self._rollouts = Rollouts(progress)

    async def WatchRollout(  # noqa: N802 -- gRPC's name
        self, request: pb.WatchRolloutRequest, context: Any
    ) -> AsyncIterator[pb.WatchRolloutResponse]:
        """See rollout_service.proto."""
        revision = await self._revision(request)
        async with aclosing(self._rollouts.watch(request.environment_id, revision)) as states:
            async for state in states:
                yield _response(state)

    async def _revision(self, request: pb.WatchRolloutRequest) -> int:
        faults = Faults()
        check_id(faults, "environment_id", request.environment_id)
        faults.finish()
        current = (
            await self._resources.get_by_id(ENVIRONMENT, request.environment_id)
        ).meta.revision
        if not 0 <= request.revision <= current:
            text = f"is {request.revision}; it must be from 1 to the environment's {current}, or 0"
            faults.add("revision", text)
        faults.finish()
        return request.revision or current


class Rollouts:
    """Watches of rollouts. All watches of one environment share the reads of its censuses."""

    def __init__(self, progress: ProgressStore) -> None:
        self._progress = progress
        self._looks: dict[str, _Look] = {}
        self._watches = 0

    async def watch(self, environment_id: str, revision: int) -> AsyncGenerator[RolloutState, None]:
        """The state at once and whenever it differs; the last one is complete.

        Raises `ResourceExhausted` beyond `WATCHES`, `DeadlineExceeded` after
        `LONGEST_SECONDS`, `StoreUnavailable` when not even the first look succeeds; later
        ones are tried again.
        """
        with self._watching(environment_id) as look:
            state = rollout_state(await look.progresses(self._progress), revision)
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
                before, state = state, rollout_state(progresses, revision)
                if state != before:
                    yield state

    @contextmanager
    def _watching(self, environment_id: str) -> Iterator[_Look]:
        if self._watches >= WATCHES:
            raise ResourceExhausted(f"{WATCHES} rollouts are watched already")
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
    """The latest censuses of one environment, as old as `LOOK_SECONDS` at most."""

    def __init__(self, environment_id: str) -> None:
        self.watches = 0
        self._environment_id = environment_id
        self._one_reads = asyncio.Lock()
        self._read_at = float("-inf")
        self._censuses: list[StreamProgress] = []

    async def progresses(self, store: ProgressStore) -> list[StreamProgress]:
        async with self._one_reads:
            now = asyncio.get_running_loop().time()
            if now - self._read_at >= LOOK_SECONDS:
                self._censuses = await store.read_progress(self._environment_id)
                self._read_at = now
        return self._censuses


def _response(state: RolloutState) -> pb.WatchRolloutResponse:
    return pb.WatchRolloutResponse(
        revision=state.revision,
        connected_streams=state.connected,
        delivered_streams=state.delivered,
        applied_streams=state.applied,
        delivered=_times(state.delivery),
        applied=_times(state.application),
        complete=state.complete,
    )


def _times(spread: Spread) -> pb.RolloutTimes:
    return pb.RolloutTimes(p50_ms=spread.p50_ms, p99_ms=spread.p99_ms, streams=spread.streams)
