"""What SDKs say that they have applied: counted where their stream is."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable
from itertools import islice
from typing import Final

from featmesh.messaging.v1 import messaging_pb2
from services.evaluation.progress.environments import Environments
from services.messaging.ports import Bus, Message, Topic
from services.runtime.errors import ResourceExhausted, Unavailable

log = logging.getLogger(__name__)

WAITING: Final = 10_000
"""Reports that wait to be published, the latest of each SDK; further ones are lost."""

AT_ONCE: Final = 64
"""Reports that are published side by side."""


class Reports:
    """Counts reports, and publishes those of streams that another process holds.

    With per-request load balancing an SDK's reports reach any process. A report that is
    lost does no harm: the SDK says it again within 30 seconds.
    """

    def __init__(self, environments: Environments, bus: Bus) -> None:
        self._environments = environments
        self._bus = bus
        self._waiting: dict[tuple[str, str], messaging_pb2.AppliedReport] = {}
        self._arrived = asyncio.Event()
        self._losing = False

    def take(self, report: messaging_pb2.AppliedReport) -> None:
        """Counts a report that an SDK sent, or leaves it to be published; never waits."""
        if not report.instance_id or not report.revision or self._count(report):
            return
        key = (report.environment_id, report.instance_id)
        if len(self._waiting) >= WAITING and key not in self._waiting:
            self._disconnect(f"{WAITING} wait already")
            return
        self._waiting[key] = report
        self._arrived.set()

    async def on_report(self, message: Message) -> None:
        """Another process, or this one, got a report and does not hold the stream."""
        self._count(messaging_pb2.AppliedReport.FromString(message.payload))

    async def publish(self) -> None:
        """Publishes what waits, once there is anything; what cannot be published is lost."""
        await self._arrived.wait()
        self._arrived.clear()
        while self._waiting:
            keys = list(islice(self._waiting, AT_ONCE))
            await self._publish([self._waiting.pop(key) for key in keys])

    def _count(self, report: messaging_pb2.AppliedReport) -> bool:
        replica = self._environments.held(report.environment_id)
        return replica is not None and replica.progress.applied(
            report.instance_id, report.revision, report.applied_at_ms
        )

    async def _publish(self, reports: Iterable[messaging_pb2.AppliedReport]) -> None:
        publishes = (self._bus.publish(Topic.APPLIED, _message(each)) for each in reports)
        for outcome in await asyncio.gather(*publishes, return_exceptions=True):
            if isinstance(outcome, Unavailable | ResourceExhausted):
                self._disconnect(str(outcome))
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                self._losing = False

    def _disconnect(self, why: str) -> None:
        if not self._losing:
            log.warning("reports of applied revisions are lost, later ones say the same: %s", why)
        self._losing = True


def _message(report: messaging_pb2.AppliedReport) -> Message:
    return Message(str(uuid.uuid4()), report.environment_id, report.SerializeToString())
