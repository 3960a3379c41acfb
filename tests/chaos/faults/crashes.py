"""Services killed with SIGKILL at the worst moment."""

from __future__ import annotations

from typing import Final

from featmesh.management.v1 import segment_service_pb2
from tests.chaos.cluster import DATABASE, INGEST
from tests.chaos.faults.fault import Fault
from tests.chaos.stage import Site, Stage
from tests.chaos.waiting import until
from tests.support.flags import boolean_flag, segment

_MEMBERS: Final = 40_000
"""Of a segment that takes several frames."""

_SLOW: Final = 100_000
"""Bytes a second: such a segment is under way for several seconds."""

_UNDER_WAY: Final = 50_000
"""Bytes that SDKs have of it when the server is killed."""


async def api_between_commit_and_publish(stage: Stage) -> None:
    """The broker holds every publish of both replicas, so what is committed stays unannounced."""
    killed, other = stage.cluster.apis
    site = stage.sites[0]
    async with stage.writer.paused():
        await stage.cluster.traffic_ends()  # so that this is the change that is published next
        for api in (killed, other):
            api.broker.hold()
        flag = await site.hand.put_flag(boolean_flag("committed"), first=0)
        killed.process.kill()
    stage.note(f"api killed with revision {flag.revision} committed and not announced")
    await stage.hold(2)
    kept = await _unannounced(stage, site, flag.revision)
    assert kept, f"the outbox does not keep revision {flag.revision}, which was not announced"
    other.broker.release()
    await stage.cluster.traffic_ends()
    killed.broker.release()
    await killed.serving()


async def _unannounced(stage: Stage, site: Site, revision: int) -> bool:
    outbox = (await stage.cluster.mongo.primary()).client[DATABASE]["outbox"]
    query = {"environment": site.truth.id, "revision": revision}
    return await outbox.count_documents(query, limit=1) == 1


async def evaluation_mid_push(stage: Stage) -> None:
    """Slow networks keep a large change under way while its server dies."""
    for evaluation in stage.cluster.evaluations:
        evaluation.gate.weather.rate = _SLOW
    serving = stage.cluster.evaluations[0]
    before = serving.gate.forwarded
    site = stage.sites[0]
    members = [f"member-{number:06d}-{'x' * 8}" for number in range(_MEMBERS)]
    await site.hand.put_segment(_large(members))

    async def under_way() -> bool:
        return serving.gate.forwarded - before > _UNDER_WAY

    await until(under_way, "a large change is on its way to SDKs")
    serving.process.kill()
    stage.note("evaluation killed while it pushed a large change")
    stage.cluster.calm()
    await serving.serving()
    await site.hand.put_segment(_large([]))


def _large(members: list[str]) -> segment_service_pb2.SegmentResource:
    resource = segment("large", included=members)
    resource.segment.id = "large"
    return resource


async def ingest_mid_transaction(stage: Stage) -> None:
    """MongoDB holds `ingest`'s inserts, so that a transaction is open when it is killed."""
    slow = {"blockConnection": True, "blockTimeMS": 2_000}
    await stage.cluster.mongo.fail(["insert"], app=INGEST, **slow)
    await until(lambda: _in_transaction(stage), "ingest is within a transaction")
    stage.cluster.ingest.process.kill()
    stage.note("ingest killed within a transaction")
    await stage.cluster.mongo.heal()
    await stage.hold(2)
    await stage.cluster.ingest.serving()


async def _in_transaction(stage: Stage) -> bool:
    admin = (await stage.cluster.mongo.primary()).client.admin
    mine = {"appName": INGEST, "transaction": {"$exists": True}}
    found = admin.aggregate([{"$currentOp": {"allUsers": True}}, {"$match": mine}])
    return bool([each async for each in await found])


FAULTS: Final = (
    Fault(
        "api killed after commit",
        "SIGKILL of `api` between the commit of a change and its announcement.",
        api_between_commit_and_publish,
    ),
    Fault(
        "evaluation killed mid-push",
        "SIGKILL of `evaluation` while a change of several frames is on its way.",
        evaluation_mid_push,
    ),
    Fault(
        "ingest killed mid-transaction",
        "SIGKILL of `ingest` within a transaction, with events flowing.",
        ingest_mid_transaction,
    ),
)
