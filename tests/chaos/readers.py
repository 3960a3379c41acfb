"""FeatMesh's own SDKs as readers: what they hold, and what they answer to their users."""

from __future__ import annotations

import threading
import time
from typing import Final, Protocol

import featmesh
from featmesh.engine.model import Context
from tests.chaos.cluster import HEARTBEAT_SECONDS
from tests.chaos.history import Environment, Reader
from tests.chaos.truth import Truth, items_of, values_of
from tests.support.places import Place
from tests.support.waiting import PATIENCE

ALWAYS_ON: Final = "always-on"
"""A flag that nobody changes: an SDK that ever answers else shows its user an error."""

_OPTIONS: Final = featmesh.Options(
    flush_interval=2.0,
    staleness=3.0 * HEARTBEAT_SECONDS,
    backoff_first=0.2,
    backoff_maximum=2.0,
    healthy_after=2.0,
    keepalive=12.0,  # the server refuses pings below 10 s
)
"""Shorter than in production, so that a run sees many reconnects."""

DEFINITIONS: Final = "definitions"
"""What server SDKs see."""

_GOOD: Final = frozenset({featmesh.Status.READY, featmesh.Status.STALE})


class Subject(Protocol):
    """A reader of any kind, as a run keeps and checks it."""

    reader: Reader
    sees: str
    """Readers of one environment that see the same have one truth."""

    async def ready(self) -> None:
        """Returns once it holds something; from then on it must never be without."""

    def truth(self, environment: Environment) -> Truth:
        """What it must hold."""

    def holds(self, truth: Truth) -> bool:
        """Whether it is where the writer is."""

    def sample(self) -> None:
        """Looks at what no callback tells."""

    async def close(self) -> None:
        """Ends it."""


class SdkReader:
    """A server SDK: every snapshot that its stream brings, and every answer of a flag."""

    sees = DEFINITIONS

    def __init__(self, name: str, address: str, place: Place, environment: Environment) -> None:
        self.reader = Reader(name, environment.name)
        self._looking = threading.Lock()
        self._last: object = None
        self._user = Context("user-1", attributes={"plan": "gold"})
        self._client = featmesh.Client(address, place.server_key, options=_OPTIONS)
        self._client.on_change(lambda _: self._look())

    async def ready(self) -> None:
        if not await self._client.wait_until_ready_async(PATIENCE):
            raise AssertionError(f"{self.reader.name} is not ready after {PATIENCE:g} s")
        self._look()

    def truth(self, environment: Environment) -> Truth:
        return Truth.of_definitions(environment)

    def holds(self, truth: Truth) -> bool:
        return self.reader.revision == truth.last

    def sample(self) -> None:
        self._look()  # no callback tells of a revision that changes no flag
        detail = self._client.boolean_detail(ALWAYS_ON, self._user, default=False)
        _check_answer(self.reader, value=detail.value, status=self._client.status)

    async def close(self) -> None:
        self._client.close(timeout=1.0)

    def _look(self) -> None:
        with self._looking:  # two threads look: the stream's and the sampler's
            snapshot = self._client.snapshot
            if snapshot is not self._last and snapshot.revision:
                self._last = snapshot
                self.reader.saw(snapshot.revision, items_of(snapshot), time.monotonic())


class UserReader:
    """A client-side SDK: one user's values after each change set that changed any."""

    def __init__(
        self, address: str, place: Place, context: Context, environment: Environment
    ) -> None:
        self.reader = Reader(f"client SDK of {context.key} in {environment.name}", environment.name)
        self._context = context
        self.sees = context.key
        self._client = featmesh.ClientSideClient(
            address, place.client_key, context, options=_OPTIONS
        )
        self._client.on_change(lambda _: self._look())

    async def ready(self) -> None:
        if not await self._client.wait_until_ready_async(PATIENCE):
            raise AssertionError(f"{self.reader.name} is not ready after {PATIENCE:g} s")
        if not self.reader.seen:
            self._look()  # the first results were quicker than the callback's registration

    def truth(self, environment: Environment) -> Truth:
        return Truth.of_results(environment, self._context)

    def holds(self, truth: Truth) -> bool:
        return self.reader.mark == truth.marks[truth.last]

    def sample(self) -> None:
        value = self._client.boolean_value(ALWAYS_ON, default=False)
        _check_answer(self.reader, value=value, status=self._client.status)

    async def close(self) -> None:
        self._client.close(timeout=1.0)

    def _look(self) -> None:
        # Within the callback nothing is applied: revision and values belong together.
        values = values_of(self._client.all_flags())
        self.reader.saw(self._client.revision, values, time.monotonic())


def _check_answer(reader: Reader, *, value: bool, status: featmesh.Status) -> None:
    if not value or status not in _GOOD:
        reader.faults.append(f"showed its user an error: {value} while {status}")
