"""What a process counts and measures, for Prometheus to read over HTTP."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from services.runtime.config import Address
from services.runtime.server import ListenError

log = logging.getLogger(__name__)


class MetricsServer:
    """Serves ``/metrics`` from a thread of its own; without an address it does nothing.

    Collectors are read in that thread: they must only read what the event loop swaps whole.
    What is known of the process comes along, unless a collector brings it (``process``).
    """

    def __init__(
        self, listen: Address | None, collectors: Iterable[Collector], *, process: bool = True
    ) -> None:
        self._listen = listen
        self._process = process
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)
        self._server: WSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; 0 while none is."""
        return self._server.server_port if self._server else 0

    def start(self) -> None:
        """Listens on return; raises `ListenError`."""
        if self._listen is None:
            return
        if self._process:
            ProcessCollector(registry=self._registry)
        host, port = self._listen.host, self._listen.port
        try:
            self._server, self._thread = start_http_server(port, host, self._registry)
        except OSError as error:
            raise ListenError(f"cannot listen on {self._listen} for metrics") from error
        log.info("metrics on http://%s/metrics", Address(host, self.port))

    async def stop(self) -> None:
        """Listens no more on return."""
        if self._server is not None and self._thread is not None:
            await asyncio.to_thread(self._server.shutdown)
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None


def counter(name: str, help_text: str, value: float) -> CounterMetricFamily:
    """One that only rises; ``name`` has no ``_total``."""
    return CounterMetricFamily(name, help_text, value=value)


def gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    """A measure of now."""
    return GaugeMetricFamily(name, help_text, value=value)


def by_label(
    family: Callable[..., CounterMetricFamily | GaugeMetricFamily],
    name: str,
    help_text: str,
    *,
    label: str,
    values: Iterable[tuple[str, float]],
) -> CounterMetricFamily | GaugeMetricFamily:
    """A family with one label; the caller bounds how many values that has."""
    metric = family(name, help_text, labels=[label])
    for text, value in values:
        metric.add_metric([text], value)
    return metric
