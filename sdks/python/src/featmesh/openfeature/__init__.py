"""FeatMesh behind the OpenFeature API; needs ``pip install 'featmesh[openfeature]'``.

openfeature.api.set_provider_and_wait(FeatMeshProvider(featmesh.Client(address, key)))
"""

from __future__ import annotations

from featmesh.openfeature.provider import FeatMeshProvider

__all__ = ["FeatMeshProvider"]
