"""FeatMesh's Python SDK: feature flags evaluated locally, changes pushed in milliseconds.

The clients are loaded when they are first asked for, so that the services, which use the
engine and the generated code alone, never load them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featmesh.engine.model import Context, ErrorKind, Reason
from featmesh.version import __version__

if TYPE_CHECKING:
    from featmesh.client import (
        Client,
        ClientSideClient,
        EvaluationDetail,
        EventKind,
        Options,
        Status,
    )

__all__ = [
    "Client",
    "ClientSideClient",
    "Context",
    "ErrorKind",
    "EvaluationDetail",
    "EventKind",
    "Options",
    "Reason",
    "Status",
    "__version__",
]

_CLIENT_NAMES = frozenset(
    {"Client", "ClientSideClient", "EvaluationDetail", "EventKind", "Options", "Status"}
)


def __getattr__(name: str) -> object:
    if name in _CLIENT_NAMES:
        from featmesh import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
