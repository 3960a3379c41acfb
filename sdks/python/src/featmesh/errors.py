"""The errors that FeatMesh's SDK raises; all of them are a `FeatMeshError`.

FeatMeshError
└── ProtocolError
"""

from __future__ import annotations


class FeatMeshError(Exception):
    """Anything that went wrong inside FeatMesh; catch this to catch them all."""


class ProtocolError(FeatMeshError):
    """The other side broke the protocol: its stream is ended and begun again."""
