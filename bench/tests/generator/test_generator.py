"""The load generator against a real evaluation service: it sees what an SDK sees."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from bench.push.children import ChildError
from bench.push.generator import Change, Generator, NotCurrent, Opening, Probing
from bench.push.run import open_all, push_all
from featmesh.engine.model import Target, ValueType, Variation
from services.messaging.ports import Bus
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import flag
from tests.support.evaluation import DefinitionStream, EvaluationClient, RunningEvaluation
from tests.support.messaging import soon
from tests.support.waiting import PATIENCE

STREAMS = 20
WINDOW = 512
NS_PER_MS = 1_000_000


@pytest.fixture
def opening(service: RunningEvaluation, server_key: str) -> Opening:
    return Opening(target=f"127.0.0.1:{service.app.port}", streams=STREAMS, keys=(server_key,))


@pytest.fixture
def busy() -> Iterator[int]:
    """A process that stands for the server's: it always uses CPU, and has no children that end."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield process.pid
        process.kill()


async def reach(generator: Generator, revision: int, *, group: str = "all") -> None:
    change = Change(revision, revision * NS_PER_MS)
    assert await generator.wait(group, [change], seconds=PATIENCE) == 0


@pytest.mark.parametrize("per_connection", [1, 7])
async def test_each_change_is_seen_by_every_stream_once(
    generator: Generator,
    opening: Opening,
    operator: Operator,
    bus: Bus,
    busy: int,
    per_connection: int,
) -> None:
    await operator.create(flag("toggled"))
    await open_all(generator, "all", replace(opening, per_connection=per_connection))
    enabled = True

    async def push() -> Change:
        nonlocal enabled
        enabled = not enabled
        committed = await operator.update("toggled", enabled=enabled)
        await operator.announce(bus, committed)
        return Change(committed.revision, committed.revision * NS_PER_MS)

    async def timed(changes: Sequence[Change]) -> Sequence[Change]:
        return changes

    pushed = await push_all(generator, "all", pid=busy, push=push, changes=3, timed=timed)
    report = pushed.report
    assert (report.counts.changes, report.counts.full) == (3 * STREAMS, 0)
    assert [(each.streams, each.missing) for each in report.arrivals] == [(STREAMS, 0)] * 3
    assert report.delays.count == 3 * STREAMS
    for change, arrival in zip(pushed.changes, report.arrivals, strict=True):
        assert change.at <= arrival.first <= arrival.last
        assert change.at <= arrival.first_write <= arrival.last_write <= arrival.last
        assert arrival.first_write <= arrival.first
    assert report.writes.count == report.delays.count
    assert report.writes.max <= report.delays.max
    assert pushed.server_cpu > 0
    assert pushed.generator_cpu > 0


async def test_a_large_set_is_counted_to_the_byte(
    generator: Generator, opening: Opening, server_sdk: EvaluationClient, operator: Operator
) -> None:
    text = (Variation("on", "On", "x" * 60_000),)
    big = [flag(f"big-{n}", value_type=ValueType.STRING, variations=text) for n in range(10)]
    await operator.create(*big)
    sdk = server_sdk.definitions()
    await sdk.change()
    report = await open_all(generator, "all", opening)
    assert report.counts.frames == STREAMS * len(sdk.frame_sizes)
    assert report.counts.bytes == STREAMS * sum(sdk.frame_sizes)
    assert report.counts.full == report.counts.changes == STREAMS
    assert len(sdk.frame_sizes) > 1


async def test_who_resumes_gets_only_the_difference(
    generator: Generator, opening: Opening, operator: Operator
) -> None:
    held = await operator.create(flag("a"), flag("b"))
    changed = await operator.update("a", enabled=False)
    token = b64encode((await operator.token(held.revision)).SerializeToString()).decode()
    await open_all(generator, "all", replace(opening, tokens=(token,)))
    await reach(generator, changed.revision)
    assert (await generator.report("all")).counts.full == 0


async def test_each_client_stream_has_a_user_of_its_own(
    generator: Generator, opening: Opening, client_key: str, operator: Operator
) -> None:
    await operator.create(flag("a"))
    clients = replace(opening, keys=(client_key,))
    await open_all(generator, "all", replace(clients, users="other-"))
    await open_all(generator, "one", replace(clients, users="user-", streams=1))
    for group in ("all", "one"):
        await generator.mark(group)
    changed = await operator.update("a", targets=(Target("off", ("user-0",)),))
    await reach(generator, changed.revision, group="one")
    changed = await operator.update("a", enabled=False)
    await reach(generator, changed.revision, group="one")
    await reach(generator, changed.revision)
    assert (await generator.report("one")).counts.changes == 2
    assert (await generator.report("all")).counts.changes == STREAMS


async def test_a_refused_stream_is_tried_again_and_then_counted_with_its_status(
    generator: Generator, opening: Opening
) -> None:
    report = await generator.open("all", replace(opening, keys=("fms_wrong",), tries=2))
    assert (report.current, report.failed, report.refused) == (0, STREAMS, STREAMS)
    assert sum(report.statuses.values()) == 2 * STREAMS
    assert all(status.startswith("status 16: ") for status in report.statuses)
    with pytest.raises(NotCurrent, match="0 of 20"):
        await open_all(generator, "others", replace(opening, keys=("fms_wrong",)))


async def stalled_with_a_change(
    generator: Generator, opening: Opening, operator: Operator, quick: DefinitionStream
) -> Change:
    """Streams of readers that stopped reading before this change, which others have."""
    await operator.create(flag("a"))
    await open_all(generator, "all", replace(opening, stalled=True, window=WINDOW))
    text = (Variation("on", "On", "x" * 4 * WINDOW),)
    committed = await operator.update("a", value_type=ValueType.STRING, variations=text)
    await quick.reach(committed.revision)
    change = Change(committed.revision, committed.revision * NS_PER_MS)
    assert await generator.wait("all", [change], seconds=0) == STREAMS
    return change


async def test_a_stalled_reader_has_nothing_new_until_it_reads_again(
    generator: Generator, opening: Opening, operator: Operator, server_sdk: EvaluationClient
) -> None:
    change = await stalled_with_a_change(generator, opening, operator, server_sdk.definitions())
    await generator.release("all")
    await reach(generator, change.revision)


async def test_a_stalled_reader_that_was_ended_learns_of_it_when_it_reads_again(
    generator: Generator,
    opening: Opening,
    operator: Operator,
    server_sdk: EvaluationClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "services.evaluation.sync.stream"):
        await stalled_with_a_change(generator, opening, operator, server_sdk.definitions())

        async def all_ended() -> bool:
            return caplog.text.count("a stream is ended") == STREAMS

        await soon(all_ended)
    await generator.release("all")
    report = await generator.ended("all", seconds=PATIENCE)
    assert report.failed == STREAMS
    assert all(status.startswith("status 14: ") for status in report.statuses)


async def test_unary_calls_are_timed_from_when_they_were_due(
    generator: Generator, service: RunningEvaluation, server_key: str, operator: Operator
) -> None:
    await operator.create(flag("a"))
    target = f"127.0.0.1:{service.app.port}"
    await generator.probe(Probing(target=target, key=server_key, flag="a", rate=200, at_most=0.1))
    report = await generator.probed(seconds=PATIENCE)
    assert report.sent == report.latency.count
    assert report.failed == 0
    assert 0 <= report.latency.min <= report.latency.p50 <= report.latency.max


async def test_it_interrupts_nobody_when_something_arrives_for_it(generator: Generator) -> None:
    threads = os.listdir(f"/proc/{generator.child.pid}/task")
    assert {os.sched_getscheduler(int(each)) for each in threads} == {os.SCHED_BATCH}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


async def test_what_it_does_not_know_is_refused_in_words(
    generator: Generator, opening: Opening
) -> None:
    with pytest.raises(ChildError, match="no group"):
        await generator.mark("nobody")
    with pytest.raises(ChildError, match="streams: 0; 1 to 50000"):
        await generator.open("none", replace(opening, streams=0))
