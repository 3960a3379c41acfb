from __future__ import annotations

import threading

from featmesh import Client, Context

from .frames import ADA, flag, full
from .stage import LIMIT, Stage, quick_options

THREADS = 8
EACH = 12_500


def count(stage: Stage) -> int:
    counted = 0
    while not stage.tracked.empty():
        counted += sum(event.count for event in stage.next_batch().evaluations)
    return counted


def test_100_000_evaluations_from_8_threads_lose_no_count(stage: Stage) -> None:
    with Client(stage.address, "key", options=quick_options()) as client:
        stage.next_stream().send(full(1, flag("one"), flag("two")))
        assert client.wait_until_ready(LIMIT)
        begin = threading.Barrier(THREADS + 1)

        def evaluate(number: int) -> None:
            own = Context(f"user-{number % 4}")
            begin.wait(LIMIT)
            for turn in range(EACH):
                client.boolean_value("one" if turn % 2 else "two", ADA if turn % 3 else own, False)

        threads = [threading.Thread(target=evaluate, args=(each,)) for each in range(THREADS)]
        for thread in threads:
            thread.start()
        begin.wait(LIMIT)
        counted = 0
        while any(thread.is_alive() for thread in threads):
            assert client.flush(LIMIT)
            counted += count(stage)
        for thread in threads:
            thread.join(LIMIT)
        assert client.flush(LIMIT)
        counted += count(stage)
    assert counted == THREADS * EACH


async def test_asyncio_code_waits_without_blocking_its_loop(stage: Stage) -> None:
    with Client(stage.address, "key", options=quick_options()) as client:
        assert not await client.wait_until_ready_async(0)
        stage.next_stream().send(full(1, flag("dark")))
        assert await client.wait_until_ready_async(LIMIT)
        assert client.boolean_value("dark", ADA, default=False)
