"""Names of resources, from the store's ids."""

from __future__ import annotations

from services.storage.model.resource import INSTALLATION_ID, AnyKind, AnyStored
from services.storage.ports.resources import Resources


class Names:
    """Makes names, by keys."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def of_scope(self, scope_id: str) -> str:
        """Returns a scope's name; empty for the installation."""
        if scope_id == INSTALLATION_ID:
            return ""
        return (await self._resources.ancestry(scope_id)).path

    async def of(self, stored: AnyStored) -> str:
        """Returns a resource's name."""
        return below(await self.of_scope(stored.meta.scope_id), stored.kind, stored.key)


def below(parent: str, kind: AnyKind, key: str) -> str:
    """Returns the name of a resource with this key in the scope that ``parent`` names."""
    own = f"{kind.plural}/{key}"
    return f"{parent}/{own}" if parent else own
