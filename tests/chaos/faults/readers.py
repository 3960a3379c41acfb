"""Readers that misbehave, and many that come at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import grpc
from grpc import aio

from tests.chaos.check import SHOWN, check_reader
from tests.chaos.content import text_flag
from tests.chaos.faults.fault import Fault
from tests.chaos.stage import Site, Stage
from tests.chaos.streams import SMALL_WINDOW, StreamReader, channel, open_stream
from tests.chaos.truth import Truth
from tests.chaos.waiting import RECOVERY, until

READERS: Final = 200
_CHANNELS: Final = 10
"""Connections in each environment."""

_TEXT: Final = 60_000
_ROUNDS: Final = 12
"""Large changes: more than a reader that does not read has room for."""

_TRIES: Final = 5
_ENDED: Final = "a stream is ended"
"""In the log of `evaluation`."""


async def stops_reading(stage: Stage) -> None:
    """It is ended, and nobody else waits for it."""
    for _ in range(_TRIES):
        if await _is_ended(stage):
            break
        stage.note("its connection broke before that, as any may: another one")
    else:
        raise AssertionError(f"the connections of {_TRIES} readers broke, one after the other")
    await stage.sites[0].hand.put_flag(text_flag("long", "short"))


async def _is_ended(stage: Stage) -> bool:
    """False if the stage broke its connection, so that there was nothing to end."""
    site, cluster = stage.sites[0], stage.cluster
    connection = channel(cluster.sdk_address, SMALL_WINDOW)
    try:
        call = open_stream(connection, site.place.server_key, None)
        await call.read()
        ended = cluster.logged(_ENDED)
        stage.note("a reader reads no more")
        for number in range(_ROUNDS):
            await site.hand.put_flag(text_flag("long", f"{number}".ljust(_TEXT, ".")))

        async def is_over() -> bool:
            return cluster.logged(_ENDED) > ended or call.done()

        await until(is_over, "a reader that does not read is ended")
        if cluster.logged(_ENDED) == ended:
            return False
        code = await _read_to_the_end(call)
        assert code is grpc.StatusCode.UNAVAILABLE, f"a reader that did not read got {code}"
        return True
    finally:
        await connection.close()


async def _read_to_the_end(call: Any) -> grpc.StatusCode:
    try:
        async with asyncio.timeout(RECOVERY):
            while await call.read() is not aio.EOF:
                pass
    except aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def resume_at_once(stage: Stage) -> None:
    """Both evaluation replicas crash under 200 streams, which come back together."""
    async with AsyncExitStack() as stack:
        crowd = [each for site in stage.sites for each in await _join(stage, site, stack)]
        for reader in crowd:
            await reader.ready()
        for evaluation in stage.cluster.evaluations:
            evaluation.process.kill()
        stage.note(f"both evaluation killed under {len(crowd)} more streams")
        for evaluation in stage.cluster.evaluations:
            await evaluation.serving()
        await stage.hold(3)
        async with stage.writer.paused():
            await _check(stage, crowd)


async def _join(stage: Stage, site: Site, stack: AsyncExitStack) -> list[StreamReader]:
    crowd = []
    name, key = site.truth.name, site.place.server_key
    for number in range(_CHANNELS):
        connection = channel(stage.cluster.sdk_address)
        stack.push_async_callback(connection.close)
        for place in range(READERS // _CHANNELS // len(stage.sites)):
            reader = StreamReader(f"stream {number}.{place} in {name}", connection, key, name)
            stack.push_async_callback(reader.close)
            crowd.append(reader)
    return crowd


async def _check(stage: Stage, crowd: Sequence[StreamReader]) -> None:
    truths = {each.truth.name: Truth.of_definitions(each.truth) for each in stage.sites}

    async def all_hold() -> bool:
        return all(each.holds(truths[each.reader.environment]) for each in crowd)

    await until(all_hold, f"all {len(crowd)} streams hold the last change")
    broken: list[str] = []
    for each in crowd:
        broken += check_reader(truths[each.reader.environment], each.reader)
        await asyncio.sleep(0)
    assert not broken, "; ".join(broken[:SHOWN])


FAULTS: Final = (
    Fault("reader stops reading", "An SDK that reads no more from its stream.", stops_reading),
    Fault(
        "200 resume at once",
        "SIGKILL of both `evaluation` under 200 streams, which come back together.",
        resume_at_once,
    ),
)
