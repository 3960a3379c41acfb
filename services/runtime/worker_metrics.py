"""One page of metrics for a supervisor and its workers.

Each worker serves its own on the loopback interface. Whoever reads the supervisor's page reads
all of them at that moment, each sample with the label ``worker``: the worker's number, or
`SUPERVISOR`.
"""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from services.runtime.metrics import counter, gauge
from services.runtime.settings import LOOPBACK

log = logging.getLogger(__name__)

SUPERVISOR: Final = "supervisor"

ANSWER_SECONDS: Final = 1.0
"""A worker that says nothing for so long is left out."""

PAGE_BYTES: Final = 16 * 1024 * 1024
"""A worker's page is at most so large; a longer one is left out."""

READ_AT_ONCE: Final = 16
"""Workers whose pages are read side by side."""

PREFIX: Final = "featmesh_workers"


class WorkerMetrics(Collector):
    """What the supervisor counts, and what the workers serve. Collected in any thread."""

    def __init__(self) -> None:
        self.running = 0
        self.restarts = 0
        self._left_out = 0
        self._reading = threading.Lock()
        self._ports: Mapping[int, int] = {}
        self._process = ProcessCollector(registry=None)

    def serves(self, worker: int, port: int) -> None:
        """Where this worker's page is; 0 for nowhere, or no longer."""
        others = {each: at for each, at in self._ports.items() if each != worker}
        self._ports = {**others, worker: port} if port else others

    def collect(self) -> Iterator[Metric]:
        """All of them, at this moment."""
        with self._reading:  # one reader at a time, however many ask
            pages = self._read(self._ports)
        yield gauge(f"{PREFIX}_running", "Worker processes that run.", self.running)
        text = "Workers that were started anew after one had ended."
        yield counter(f"{PREFIX}_restarts", text, self.restarts)
        text = "Times that a worker's metrics were left out because it did not answer."
        yield counter(f"{PREFIX}_unanswered", text, self._left_out)
        yield from _merged([(SUPERVISOR, list(self._process.collect())), *pages])

    def _read(self, ports: Mapping[int, int]) -> list[tuple[str, list[Metric]]]:
        pages = []
        with ThreadPoolExecutor(READ_AT_ONCE, "worker-metrics") as pool:
            reads = {worker: pool.submit(_page, port) for worker, port in sorted(ports.items())}
            for worker, read in reads.items():
                try:
                    pages.append((str(worker), read.result()))
                except (OSError, ValueError, http.client.HTTPException) as error:
                    self._left_out += 1
                    log.warning("metrics of worker %d are left out: %r", worker, error)
        return pages


def _page(port: int) -> list[Metric]:
    """Raises OSError, ValueError or HTTPException for a worker that has none."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/metrics")
        body = connection.getresponse().read(PAGE_BYTES + 1)
    finally:
        connection.close()
    if len(body) > PAGE_BYTES:
        raise ValueError(f"the page is larger than {PAGE_BYTES} bytes")
    return list(text_string_to_metric_families(body.decode()))


def _merged(pages: Iterable[tuple[str, list[Metric]]]) -> Iterable[Metric]:
    """Each family once, with the samples of all."""
    families: dict[str, Metric] = {}
    for worker, metrics in pages:
        for metric in metrics:
            family = families.setdefault(
                metric.name, Metric(metric.name, metric.documentation, metric.type)
            )
            for sample in metric.samples:
                family.add_sample(sample.name, {**sample.labels, "worker": worker}, sample.value)
    return families.values()
