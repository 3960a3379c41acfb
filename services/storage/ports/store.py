"""Which ports each service takes, so that another engine can have some of them alone."""

from __future__ import annotations

from typing import Protocol

from services.storage.ports.credentials import CredentialStore
from services.storage.ports.definitions import DefinitionStore
from services.storage.ports.end_users import EndUserStore
from services.storage.ports.events import EventStore
from services.storage.ports.maintenance import MaintenanceStore
from services.storage.ports.outbox import OutboxStore
from services.storage.ports.progress import ProgressStore
from services.storage.ports.reports import ReportStore
from services.storage.ports.resources import Resources


class StoreConnection(Protocol):
    """What every store has."""

    async def migrate(self) -> None:
        """Bring indexes and schema to this version; idempotent, safe in several processes."""
        ...

    async def ping(self) -> None:
        """Raises `StoreUnavailable` when the store does not answer within 2 seconds."""
        ...

    async def close(self) -> None: ...


class ControlStore(StoreConnection, Protocol):
    """What is configured: written by `api` alone."""

    resources: Resources
    credentials: CredentialStore
    outbox: OutboxStore
    maintenance: MaintenanceStore


class IngestStore(StoreConnection, Protocol):
    """What `ingest` writes."""

    insights: EventStore


class AnalyticsStore(IngestStore, Protocol):
    """Events, and what is read from them."""

    end_users: EndUserStore
    reports: ReportStore


class EvaluationStore(StoreConnection, Protocol):
    """What `evaluation` reads, and how far its streams have come.

    Of resources it asks where places stand, for operators who name one.
    """

    resources: Resources
    credentials: CredentialStore
    definitions: DefinitionStore
    progress: ProgressStore


class Store(ControlStore, AnalyticsStore, EvaluationStore, Protocol):
    """All ports, as `api` takes them and MongoDB offers them."""
