"""Composes the three services in one process.

Each part starts after what it needs and stops before it:

    start ▼   data folder   taken, so that no second process uses it
              mongod        the embedded one, unless FEATMESH_MONGODB_URI names another
              store, bus    shared by the services
              ingest        consumes before anyone publishes
              evaluation    its last events are stored before ingest stops
              api
    stop  ▲   background    the demo, and watches over the parts
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final, Protocol

from prometheus_client.registry import Collector

from services.api.app import ApiApp
from services.evaluation.app import EvaluationApp
from services.ingest.app import IngestApp
from services.messaging.inprocess import InProcessBus
from services.messaging.ports import Bus
from services.runtime.config import Address, faults_named
from services.runtime.metrics import MetricsServer
from services.runtime.program import App
from services.runtime.server import ListenError
from services.runtime.settings import LOOPBACK, ServerSettings, StoreSettings
from services.runtime.tasks import Tasks
from services.standalone.data_folder import DataFolder
from services.standalone.demo import Addresses, open_demo
from services.standalone.errors import StandaloneError
from services.standalone.mongod import STOP_SECONDS, EmbeddedMongod, EmbeddedMongodError
from services.standalone.readiness import until_serving
from services.standalone.settings import StandaloneSettings
from services.standalone.terminal import complain, say
from services.standalone.welcome import plain_text
from services.storage.mongodb import MongoStore
from services.storage.ports.store import Store

_ANY: Final = ("0.0.0.0", "::")  # noqa: S104 -- compared with, not listened on


class ListeningApp(App, Protocol):
    """An `App` that serves gRPC, and what it counts."""

    @property
    def metrics(self) -> Collector:
        """For whoever serves them."""
        ...

    @property
    def port(self) -> int:
        """The port that is listened on; 0 before `start`."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """One of the three, with the variable that says where it listens."""

    variable: str
    server: ServerSettings
    app: ListeningApp

    @property
    def address(self) -> str:
        """Where this machine reaches it; known once it is started."""
        host = self.server.listen.host
        return str(Address(LOOPBACK if host in _ANY else host, self.app.port))


class StandaloneApp:
    """The whole of FeatMesh; with ``demo`` it fills itself at its first start."""

    def __init__(self, settings: StandaloneSettings, *, demo: bool) -> None:
        self.tasks = Tasks()
        self._settings = settings
        self._demo = demo
        self._folder = DataFolder(settings.data_dir)
        self._parts = AsyncExitStack()
        self._is_started = False

    @property
    def stop_seconds(self) -> float:
        """That of its parts, one after the other."""
        settings = self._settings
        services = (settings.api, settings.evaluation, settings.ingest)
        return sum(each.server.stop_seconds for each in services) + STOP_SECONDS

    async def start(self) -> None:
        """All services listen on return; raises `StandaloneError` or `ConfigError`."""
        self._folder.open()
        self._parts.callback(self._folder.close)
        uri = self._settings.mongodb_uri or await self._start_mongod()
        store = self._open_store(uri)
        bus = InProcessBus()
        self._parts.push_async_callback(bus.close)
        say("Starting the services ...")
        services = self._services(uri, store, bus)
        for service in services:
            await self._start_service(service)
        self._serve_metrics([service.app.metrics for service in services])
        self._is_started = True
        self.tasks.start(self._welcome(services), "welcome")

    def _services(self, uri: str, store: Store, bus: Bus) -> tuple[Service, Service, Service]:
        at = StoreSettings(uri, self._settings.database)
        ingest = replace(self._settings.ingest, store=at, amqp_url="")
        evaluation = replace(self._settings.evaluation, store=at, amqp_url="")
        api = replace(self._settings.api, store=at, amqp_url="")
        return (
            Service("FEATMESH_INGEST_LISTEN", ingest.server, IngestApp(ingest, store, bus)),
            Service(
                "FEATMESH_EVALUATION_LISTEN",
                evaluation.server,
                EvaluationApp(evaluation, store, bus),
            ),
            Service("FEATMESH_API_LISTEN", api.server, ApiApp(api, store, bus)),
        )

    async def stop(self) -> None:
        """Everything, in the reverse order of starting, mongod last."""
        if self._is_started:
            say("Stopping ...")
        await self.tasks.close()
        await self._parts.aclose()

    async def _start_mongod(self) -> str:
        folder = self._settings.data_dir / "mongodb"
        say(f"Starting MongoDB (its data is in {folder}) ...")
        mongod = EmbeddedMongod(folder)
        self._parts.push_async_callback(mongod.stop)
        try:
            await mongod.start()
        except EmbeddedMongodError as error:
            raise StandaloneError(str(error)) from error
        self.tasks.start(self._watch_mongod(mongod), "mongod")
        return mongod.uri

    async def _watch_mongod(self, mongod: EmbeddedMongod) -> None:
        status = await mongod.wait()
        self._fail(f"MongoDB ended with status {status}; its log is {mongod.log_file}")

    def _open_store(self, uri: str) -> MongoStore:
        with faults_named("FEATMESH_MONGODB_URI is "):
            store = MongoStore.open(uri, database=self._settings.database)
        self._parts.push_async_callback(store.close)
        return store

    async def _start_service(self, service: Service) -> None:
        # Also when its start fails half-way.
        self._parts.push_async_callback(service.app.stop)
        try:
            await service.app.start()
        except ListenError as error:
            raise StandaloneError(
                f"{error}: does FeatMesh run already? {service.variable} takes another address"
            ) from error
        self.tasks.start(self._watch_service(service.app), service.variable)

    def _serve_metrics(self, collectors: list[Collector]) -> None:
        metrics = MetricsServer(self._settings.metrics, collectors)
        self._parts.push_async_callback(metrics.stop)
        try:
            metrics.start()
        except ListenError as error:
            raise StandaloneError(f"{error}: FEATMESH_METRICS_LISTEN takes another one") from error

    async def _watch_service(self, app: App) -> None:
        await app.tasks.crashed.wait()
        self.tasks.crashed.set()

    async def _welcome(self, services: Iterable[Service]) -> None:
        for service in services:
            await until_serving(service.address)
        _, evaluation, api = services
        token_file = self._settings.token_file
        try:
            if self._demo:
                at = Addresses(api.address, evaluation.address)
                say(await open_demo(self._folder, token_file, at, say=say))
            else:
                say(plain_text(api.address, evaluation.address, token_file))
        except StandaloneError as error:
            self._fail(str(error))

    def _fail(self, fault: str) -> None:
        complain(fault)
        self.tasks.crashed.set()
