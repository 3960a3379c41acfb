"""The clients: one for servers, one for a single user."""

from __future__ import annotations

from featmesh.client.detail import EvaluationDetail, Json
from featmesh.client.options import Options
from featmesh.client.server import Client
from featmesh.client.status import Status
from featmesh.client.user import ClientSideClient

__all__ = ["Client", "ClientSideClient", "EvaluationDetail", "Json", "Options", "Status"]
