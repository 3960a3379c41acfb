"""When snapshots are in memory, by what `evaluation` exports of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

_COUNT: Final = "featmesh_evaluation_snapshots_total"
_SECONDS: Final = "featmesh_evaluation_snapshot_seconds_total"
_PATIENCE: Final = 10.0
_NS: Final = 1e9


@dataclass(frozen=True)
class Snapshots:
    """Sums over all that each worker has built; seconds."""

    count: Mapping[str, float]
    seconds: Mapping[str, float]

    @classmethod
    async def read(cls, address: str) -> Snapshots:
        """As they are now, on the page at ``address``."""
        return await asyncio.to_thread(cls._read, address)

    @classmethod
    def _read(cls, address: str) -> Snapshots:
        with urlopen(f"http://{address}/metrics", timeout=_PATIENCE) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            samples = [each for family in families for each in family.samples]
        count, seconds = (
            {each.labels.get("worker", ""): each.value for each in samples if each.name == name}
            for name in (_COUNT, _SECONDS)
        )
        return cls(count, seconds)

    def since(self, before: Snapshots) -> float:
        """From a change's revision to its snapshot: the mean of the worker that is first, in ns.

        Workers that built none have no stream; at least one must have.
        """
        built = {worker: count - before.count[worker] for worker, count in self.count.items()}
        return min(
            (self.seconds[worker] - before.seconds[worker]) / count * _NS
            for worker, count in built.items()
            if count
        )
