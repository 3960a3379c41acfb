"""The clients: one for servers, one for a single user."""

from __future__ import annotations

from featmesh.client import forks as forks  # first: it asks gRPC to survive forks
from featmesh.client.detail import EvaluationDetail, Json
from featmesh.client.events import EventKind
from featmesh.client.hooks import EvaluationHook
from featmesh.client.options import Options
from featmesh.client.server import Client
from featmesh.client.sources import DefinitionSource
from featmesh.client.status import Status
from featmesh.client.user import ClientSideClient

__all__ = [
    "Client",
    "ClientSideClient",
    "DefinitionSource",
    "EvaluationDetail",
    "EvaluationHook",
    "EventKind",
    "Json",
    "Options",
    "Status",
]
