"""All ports over one connection."""

from __future__ import annotations

from typing import Protocol

from services.storage.ports.credentials import CredentialStore
from services.storage.ports.definitions import DefinitionStore
from services.storage.ports.end_users import EndUserStore
from services.storage.ports.events import InsightStore
from services.storage.ports.maintenance import MaintenanceStore
from services.storage.ports.outbox import OutboxStore
from services.storage.ports.progress import ProgressStore
from services.storage.ports.reports import ReportStore
from services.storage.ports.resources import Resources


class Store(Protocol):
    """All ports over one connection."""

    resources: Resources
    credentials: CredentialStore
    definitions: DefinitionStore
    outbox: OutboxStore
    maintenance: MaintenanceStore
    insights: InsightStore
    end_users: EndUserStore
    reports: ReportStore
    progress: ProgressStore

    async def migrate(self) -> None:
        """Bring indexes and schema to this version; idempotent, safe in several processes."""
        ...

    async def ping(self) -> None:
        """Raises `StoreUnavailable` when the store does not answer within 2 seconds."""
        ...

    async def close(self) -> None: ...
