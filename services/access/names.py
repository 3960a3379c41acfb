"""Resource names, such as ``organizations/acme/projects/shop/environments/production/flags/x``.

Pairs of a collection and a key; a UUID may stand for a key. Where the last scope is named by
its UUID, ``-`` may stand for the keys above it, as in AIP-159.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.runtime.errors import InvalidArgument
from services.runtime.violations import KEY_PATTERN, quoted
from services.storage.model.kinds import KINDS
from services.storage.model.resource import AnyKind, Scope

ANY: Final = "-"
"""Stands for the keys above a UUID."""

_SCOPES: Final = ("organizations", "projects", "environments")

_DEPTHS: Final = {
    Scope.INSTALLATION: 0,
    Scope.ORGANIZATION: 1,
    Scope.PROJECT: 2,
    Scope.ENVIRONMENT: 3,
}
"""Number of pairs in the name of a scope at each level."""

INSTALLATION: Final = "installation"
"""Stands for the empty name among kinds of resources."""


def _patterns(kind: AnyKind) -> list[tuple[str, ...]]:
    return [(*_SCOPES[: _DEPTHS[scope]], kind.plural) for scope in kind.scopes]


PATTERNS: Final[Mapping[str, Sequence[tuple[str, ...]]]] = {
    INSTALLATION: [()],
    **{kind.name: _patterns(kind) for kind in KINDS.values()},
}
"""Collections of the names of each kind."""

_BY_ID: Final = frozenset(kind.plural for kind in KINDS.values() if kind.key_of is None)
"""Collections whose resources have no key but an id."""

_KEY: Final = re.compile(KEY_PATTERN)


@dataclass(frozen=True, slots=True)
class ResourceName:
    """A parsed name: keys of the scopes down to it, and its own, empty for a scope's name."""

    organization: str = ""
    project: str = ""
    environment: str = ""
    key: str = ""

    @property
    def last(self) -> str:
        """The key, or id, of what is named itself."""
        return self.key or self.environment or self.project or self.organization

    @property
    def parent(self) -> ResourceName:
        """The name of the scope above a scope that is named."""
        if self.environment:
            return ResourceName(self.organization, self.project)
        return ResourceName(self.organization if self.project else "")


def parse_name(field: str, name: str, kinds: Sequence[str]) -> ResourceName:
    """Parses the name of one of ``kinds``.

    Raises `InvalidArgument` for ``field``, which says what such a name looks like.
    """
    parts = name.split("/") if name else []
    collections, keys = tuple(parts[0::2]), parts[1::2]
    patterns = [pattern for kind in kinds for pattern in PATTERNS[kind]]
    if len(collections) == len(keys) and collections in patterns and all(map(_KEY.fullmatch, keys)):
        return _name_of(collections, keys)
    shown = " or ".join(map(_example, patterns))
    raise InvalidArgument.of(field, f"is {quoted(name)}; it must be {shown}")


def _name_of(collections: Sequence[str], keys: Sequence[str]) -> ResourceName:
    scopes = dict(zip(collections, keys, strict=True))
    own = "" if collections[-1:] in [(), *((each,) for each in _SCOPES)] else keys[-1]
    organization, project, environment = (scopes.get(each, "") for each in _SCOPES)
    return ResourceName(organization, project, environment, own)


def _example(pattern: Sequence[str]) -> str:
    if not pattern:
        return "empty"
    return "/".join(f"{each}/<{'id' if each in _BY_ID else 'key'}>" for each in pattern)
