"""Services that are stopped and started on purpose, and nothing at all."""

from __future__ import annotations

from typing import Final

from tests.chaos.faults.fault import Fault
from tests.chaos.stage import Stage


async def nothing(stage: Stage) -> None:
    """What a trial shows without a fault."""
    await stage.hold(5)


async def rolling(stage: Stage) -> None:
    """SDKs go from one to the other and back; their users notice nothing."""
    for evaluation in stage.cluster.evaluations:
        code = await evaluation.stop()
        stage.note(f"evaluation stopped with exit code {code}")
        assert code == 0, f"evaluation stopped with exit code {code}"
        await stage.hold(2)
        await evaluation.serving()
        await stage.hold(2)


FAULTS: Final = (
    Fault(
        "rolling restart",
        "Both `evaluation` replicas are restarted with SIGTERM, one after the other.",
        rolling,
    ),
)
