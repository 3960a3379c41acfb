"""The `Evaluate` RPC against the vectors that every SDK has to pass.

Flags and segments go the way they go in production: stored, read by the service's replica
and evaluated behind a real socket. They are committed to the store itself, as `api` would
refuse some of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import groupby

import grpc
import pytest
from grpc import aio

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.wire import flag_from_proto, segment_from_proto
from sdks.python.tests.conformance.vectors import (
    PATHS,
    Case,
    Vectors,
    read_vectors,
    without_revision,
)
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Message, Topic
from services.storage.model.credentials import SdkKeyKind
from services.storage.model.items import FlagRecord, SegmentRecord
from services.storage.mongodb import MongoStore
from tests.integration.storage.records import Record, change, create
from tests.support.evaluation import EvaluationClient, new_sdk_key, running_evaluation
from tests.support.resources import Environment

AT_ONCE = 32
"""Calls in flight."""


@pytest.fixture
async def client(store: MongoStore, environment: Environment) -> AsyncIterator[EvaluationClient]:
    """A server key's calls to a service that has nothing loaded yet."""
    secret, _ = await new_sdk_key(store, environment.id, SdkKeyKind.SERVER)
    bus = InProcessBus()
    try:
        await bus.consume(Topic.USERS, _take, prefetch=1)
        async with running_evaluation(store, bus) as service:
            yield service.client(secret)
    finally:
        await bus.close()


@pytest.mark.parametrize("path", PATHS)
async def test_the_rpc_gives_every_expected_result(
    path: str, store: MongoStore, environment: Environment, client: EvaluationClient
) -> None:
    vectors = read_vectors(path)
    committed = await store.resources.commit(change(environment.id, *create(*_records(vectors))))
    gate = asyncio.Semaphore(AT_ONCE)

    async def failures(cases: list[Case]) -> list[str]:
        async with gate:
            return await _failures(client, cases, committed.revision)

    found = await asyncio.gather(*map(failures, _by_context(vectors.cases)))
    told = [failure for group in found for failure in group]
    assert not told, "\n".join(told)


async def _take(_message: Message) -> None:
    """The users that evaluations bring along are of no interest here."""


def _records(vectors: Vectors) -> Iterator[Record]:
    for flag in vectors.flags:
        yield FlagRecord(flag_from_proto(flag), flag.key)
    for segment in vectors.segments:
        yield SegmentRecord(segment_from_proto(segment), segment.key)


def _by_context(cases: Iterable[Case]) -> Iterator[list[Case]]:
    """Cases that one call can answer."""

    def exact(case: Case) -> bytes:
        return case.context.SerializeToString(deterministic=True)

    for _, group in groupby(sorted(cases, key=exact), key=exact):
        yield list(group)


async def _failures(client: EvaluationClient, cases: list[Case], revision: int) -> list[str]:
    if cases[0].rpc_status:
        return await _not_refused(client, cases)
    response = await client.evaluate(cases[0].context, *(case.flag_key for case in cases))
    if response.revision != revision:
        return [f"{cases[0].id}: answered at revision {response.revision}, not {revision}"]
    answers: list[evaluation_pb2.EvaluationResult] = list(map(without_revision, response.results))
    return [
        f"{case.id}: expected {{{case.expected}}}, got {{{answer}}}"
        for case, answer in zip(cases, answers, strict=True)
        if answer != case.expected
    ]


async def _not_refused(client: EvaluationClient, cases: list[Case]) -> list[str]:
    wanted = grpc.StatusCode[cases[0].rpc_status]
    try:
        await client.evaluate(cases[0].context, *(case.flag_key for case in cases))
    except aio.AioRpcError as error:
        return [] if error.code() is wanted else [f"{cases[0].id}: {error.code()}, not {wanted}"]
    return [f"{cases[0].id}: taken, not {wanted}"]
