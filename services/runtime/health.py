"""Standard gRPC health: ``""`` for readiness, ``live`` for liveness."""

from __future__ import annotations

import logging
from typing import Final

from grpc_health.v1 import health, health_pb2

from services.runtime.supervisor_channel import SupervisorChannel

log = logging.getLogger(__name__)

LIVE: Final = "live"


class Health:
    """Readiness that can be set and unset; liveness holds as long as the loop runs.

    With a ``link`` to a supervisor this process's readiness is reported there, and answered is
    what `set_overall` says of all workers.
    """

    def __init__(self, link: SupervisorChannel | None = None) -> None:
        self.servicer = health.aio.HealthServicer()
        self._link = link
        self._serving: bool | None = None
        self._drained = False

    async def open(self) -> None:
        """Alive, not yet ready."""
        await self.servicer.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
        await self.set_serving(False, "starting")

    @property
    def serving(self) -> bool:
        """Whether the service is ready now."""
        return bool(self._serving)

    async def set_serving(self, serving: bool, why: str) -> None:
        """Logs only changes; ``why`` says what is missing or what came back."""
        if self._drained or serving == self._serving:
            return
        self._serving = serving
        log.info("%s: %s", "SERVING" if serving else "NOT_SERVING", why)
        if self._link is None:
            await self._answer(serving)
        else:
            self._link.report(serving)

    async def set_overall(self, serving: bool) -> None:
        """What all workers together are."""
        if not self._drained:
            await self._answer(serving)

    async def drain(self) -> None:
        """NOT_SERVING for good."""
        await self.set_serving(False, "draining")
        self._drained = True
        await self._answer(False)

    async def _answer(self, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        await self.servicer.set("", status.SERVING if serving else status.NOT_SERVING)
