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

ANY: Final = "-"
"""Stands for the keys above a UUID."""

_ENVIRONMENT: Final = ("organizations", "projects", "environments")

PATTERNS: Final[Mapping[str, Sequence[tuple[str, ...]]]] = {
    "installation": [()],
    "organization": [_ENVIRONMENT[:1]],
    "project": [_ENVIRONMENT[:2]],
    "environment": [_ENVIRONMENT],
    "flag": [(*_ENVIRONMENT, "flags")],
    "segment": [(*_ENVIRONMENT, "segments")],
    "sdk_key": [(*_ENVIRONMENT, "sdkKeys")],
    "access_token": [("organizations", "tokens"), ("tokens",)],
}
"""Collections of the names of each kind."""

_KEY: Final = re.compile(KEY_PATTERN)


@dataclass(frozen=True, slots=True)
class ResourceName:
    """A parsed name: keys of the scopes down to it, and its own, empty for a scope's name."""

    organization: str = ""
    project: str = ""
    environment: str = ""
    key: str = ""


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
    own = "" if collections[-1:] in [(), *((each,) for each in _ENVIRONMENT)] else keys[-1]
    organization, project, environment = (scopes.get(each, "") for each in _ENVIRONMENT)
    return ResourceName(organization, project, environment, own)


def _example(pattern: Sequence[str]) -> str:
    if not pattern:
        return "empty"
    return "/".join(f"{each}/<{'id' if each in _BY_ID else 'key'}>" for each in pattern)


_BY_ID: Final = frozenset({"sdkKeys", "tokens"})
