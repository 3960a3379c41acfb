"""A reader that holds what the server has is not sent it once more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

import featmesh
from featmesh.engine.model import ValueType, Variation
from featmesh.wire.changes import DefinitionChanges
from services.messaging.inprocess import InProcessBus
from services.storage.mongodb import MongoStore
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import delete, flag, segment
from tests.support.evaluation import (
    NEVER,
    EvaluationClient,
    RunningEvaluation,
    Timing,
    running_evaluation,
)
from tests.support.statuses import violations
from tests.support.waiting import eventually

DIGEST_BYTES = 32


def digest_of(changes: DefinitionChanges) -> bytes:
    assert changes.resume is not None
    return changes.resume.digest


@pytest.fixture
async def held(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> DefinitionChanges:
    """What a reader holds that was away while a flag came, went and was compacted away."""
    await operator.create(flag("kept"), segment("s-1", "kept"))
    async with running_evaluation(store, bus) as earlier:
        held = await earlier.client(server_key).definitions().change()
    await operator.create(flag("brief"))
    await operator.raise_floor((await operator.delete("brief")).revision)
    return held


async def test_a_reader_below_the_floor_that_holds_the_same_is_sent_the_revision_only(
    server_sdk: EvaluationClient, operator: Operator, held: DefinitionChanges
) -> None:
    stream = server_sdk.definitions(held.resume)
    changes = await stream.change()
    assert (changes.full, changes.flags, changes.segments) == (False, (), ())
    assert changes.deleted_flag_keys == ()
    assert changes.revision > held.revision
    assert digest_of(changes) == digest_of(held)
    committed = await operator.create(flag("new"))
    await stream.reach(committed.revision)
    assert set(stream.flags) == {"new"}, "and what comes next is the difference"


@pytest.mark.parametrize("digest", [b"", b"another"])
async def test_a_reader_below_the_floor_that_holds_something_else_is_sent_everything(
    server_sdk: EvaluationClient, operator: Operator, held: DefinitionChanges, digest: bytes
) -> None:
    token = await operator.token(held.revision, digest)
    changes = await server_sdk.definitions(token).change()
    assert changes.full
    assert [each.key for each in changes.flags] == ["kept"]


async def test_a_difference_is_sent_as_before_whatever_the_digest(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    held = await operator.create(flag("a"))
    committed = await operator.create(flag("b"))
    token = await operator.token(held.revision, b"another")
    changes = await server_sdk.definitions(token).change()
    assert (changes.full, changes.revision) == (False, committed.revision)
    assert [each.key for each in changes.flags] == ["b"]


@pytest.mark.parametrize("since", [0, 1 << 60])
async def test_no_digest_helps_a_reader_that_holds_nothing_or_is_ahead_of_the_server(
    server_sdk: EvaluationClient, operator: Operator, since: int
) -> None:
    committed = await operator.create(flag("a"))
    held = await server_sdk.definitions().change()
    token = await operator.token(since, digest_of(held))
    changes = await server_sdk.definitions(token).change()
    assert (changes.full, changes.revision) == (True, committed.revision)


async def test_a_connected_reader_that_fell_below_the_floor_and_holds_the_same_is_spared(
    store: MongoStore, bus: InProcessBus, server_key: str, operator: Operator
) -> None:
    await operator.create(flag("kept"))
    async with running_evaluation(store, bus, Timing(poll_interval=NEVER)) as service:
        stream = service.client(server_key).definitions()
        held = await stream.change()
        await operator.create(flag("brief"))
        gone = await operator.delete("brief")
        await operator.raise_floor(gone.revision)
        await operator.announce(bus, gone)
        changes = await stream.change()
    assert (changes.full, changes.revision) == (False, gone.revision)
    assert (changes.flags, digest_of(changes)) == ((), digest_of(held))


async def test_a_digest_is_the_same_whatever_way_led_to_the_content(
    store: MongoStore,
    bus: InProcessBus,
    server_key: str,
    server_sdk: EvaluationClient,
    operator: Operator,
) -> None:
    stream = server_sdk.definitions()
    await stream.change()
    await operator.create(flag("a"), flag("b"), segment("s-1", "one"))
    await operator.update("a", enabled=False)
    gone = await operator.segment("one")
    await operator.commit(delete(gone))
    await operator.delete("b")
    await operator.create(flag("b", salt="anew"), segment("s-2", "one"))
    committed = await operator.update_segment("one", included=("ada",))
    await stream.reach(committed.revision)
    async with running_evaluation(store, bus) as fresh:
        at_once = await fresh.client(server_key).definitions().change()
    assert at_once.full
    digests = [token.digest for token in stream.tokens if token is not None]
    assert len(digest_of(at_once)) == DIGEST_BYTES
    assert digests[-1] == digest_of(at_once)
    assert len(set(digests)) == len(stream.tokens), "each content has its own"


async def test_only_the_last_part_carries_the_token(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    text = Variation("on", "On", "x" * 60_000)
    await operator.create(
        *(flag(f"f{n}", value_type=ValueType.STRING, variations=(text,)) for n in range(10))
    )
    stream = server_sdk.definitions()
    parts = [(await stream.frame()).change_set]
    while not parts[-1].last:
        parts.append((await stream.frame()).change_set)
    assert len(parts) > 1
    assert [part.HasField("resume") for part in parts] == [False] * (len(parts) - 1) + [True]
    last = parts[-1].resume
    assert (last.revision, len(last.digest)) == (parts[0].revision, DIGEST_BYTES)
    assert max(stream.frame_sizes) <= 256 * 1024


async def test_a_digest_beyond_its_limit_is_refused(
    server_sdk: EvaluationClient, operator: Operator
) -> None:
    error = await server_sdk.definitions(await operator.token(1, b"x" * 65)).refused()
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violations(error) == {"resume.digest": "has 65 bytes; at most 64"}


async def test_the_sdk_starts_from_its_cache_below_the_floor_without_a_download(
    service: RunningEvaluation, server_key: str, operator: Operator, tmp_path: Path
) -> None:
    def start(revision: int) -> bool:
        """Until it is at this revision; what it serves then."""
        address = f"127.0.0.1:{service.app.port}"
        options = featmesh.Options(cache_directory=tmp_path)
        with featmesh.Client(address, server_key, options=options) as client:
            eventually(lambda: client.revision, accept=lambda held: held == revision)
            return client.boolean_value("kept", featmesh.Context("ada"), default=False)

    created = await operator.create(flag("kept"))
    assert await asyncio.to_thread(start, created.revision)
    await operator.create(flag("brief"))
    gone = await operator.delete("brief")
    await operator.raise_floor(gone.revision)
    assert await asyncio.to_thread(start, gone.revision)
    counts = service.app._replicas.counts
    assert (counts.full_syncs, counts.patch_syncs) == (1, 1)
