"""MongoDB losing its primary, and running out of disk."""

from __future__ import annotations

from typing import Final

from tests.chaos.faults.fault import Fault
from tests.chaos.stage import Stage
from tests.chaos.waiting import until

_OUT_OF_DISK_SPACE: Final = 14031
_WRITES: Final = ("insert", "update", "delete", "findAndModify", "commitTransaction")


async def primary_killed(stage: Stage) -> None:
    """The others elect one of themselves; the old one comes back as a follower."""
    primary = await stage.cluster.mongo.primary()
    primary.kill()
    stage.note(f"mongod {primary.number}, the primary, killed")
    await stage.cluster.mongo.primary()
    await stage.hold(3)
    primary.start()
    await stage.cluster.mongo.healthy()


async def primary_stepped_down(stage: Stage) -> None:
    """An election while everybody lives."""
    await stage.cluster.mongo.step_down()
    stage.note("the primary stepped down")
    await stage.cluster.mongo.healthy()
    await stage.hold(2)


async def primary_isolated(stage: Stage) -> None:
    """Nobody reaches the primary, which itself reaches the others: they elect another one."""
    primary = await stage.cluster.mongo.primary()
    primary.proxy.hold()
    stage.note(f"nothing reaches mongod {primary.number}, the primary, any more")

    async def replaced() -> bool:
        others = [node for node in stage.cluster.mongo.nodes if node is not primary]
        return any([(await node.hello()).get("isWritablePrimary") for node in others])

    await until(replaced, "the others have elected another primary")
    await stage.hold(5)
    primary.proxy.release()
    await stage.cluster.mongo.healthy()


async def disk_full(stage: Stage) -> None:
    """Every write is answered with OutOfDiskSpace."""
    await stage.cluster.mongo.fail(_WRITES, errorCode=_OUT_OF_DISK_SPACE)
    stage.note("MongoDB answers that its disk is full")
    await stage.hold(5)
    await stage.cluster.mongo.heal()


FAULTS: Final = (
    Fault("primary killed", "SIGKILL of MongoDB's primary, and its restart.", primary_killed),
    Fault("primary stepped down", "MongoDB elects another primary.", primary_stepped_down),
    Fault(
        "primary isolated",
        "No packet reaches MongoDB's primary, until another one has served for 5 seconds.",
        primary_isolated,
    ),
    Fault("disk full", "MongoDB refuses all writes: its disk is full.", disk_full),
)
