from __future__ import annotations

import asyncio
import logging

import pytest

from services.runtime.tasks import EARLY_SECONDS, repeat, until_next
from tests.support.waiting import PATIENCE


async def test_work_that_is_repeated_survives_any_error_and_tells_each_kind_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults: list[Exception | None] = [
        ValueError("one"),
        ValueError("one"),
        ValueError("two"),
        None,
        ValueError("two"),
    ]
    done = asyncio.Event()

    async def work() -> None:
        if not faults:
            done.set()
            return
        if fault := faults.pop(0):
            raise fault

    with caplog.at_level(logging.ERROR):
        task = asyncio.create_task(repeat(work, seconds=0, what="the work"))
        async with asyncio.timeout(PATIENCE):
            await done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [str(each.exc_info[1]) for each in caplog.records if each.exc_info] == [
        "one",
        "two",
        "two",
    ]


@pytest.mark.parametrize("now", [0.0, 0.1, 0.4985, 0.4999, 0.5, 7.25])
def test_rhythms_of_a_process_beat_together_and_never_twice_at_once(now: float) -> None:
    for seconds in (0.25, 0.5, 1.0):
        rest = until_next(seconds, now)
        assert EARLY_SECONDS < rest <= seconds + EARLY_SECONDS
        assert (now + rest) / seconds == pytest.approx(round((now + rest) / seconds))
