"""What one user is served now, by the definitions as they are stored."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from featmesh.engine import Result, Snapshot, evaluate
from featmesh.engine.membership import is_member
from featmesh.engine.model import Context, Segment
from services.runtime.errors import NotFound
from services.storage.model.definitions import EnvironmentHead
from services.storage.model.pages import Page
from services.storage.ports.definitions import DefinitionStore

KEPT: Final = 8
"""Environments whose definitions are kept prepared; those that were asked for last."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A segment that a context is in; ``listed`` says that its list holds the key."""

    segment: Segment
    listed: bool


class Snapshots:
    """Definitions, prepared once for each revision of an environment."""

    def __init__(self, definitions: DefinitionStore) -> None:
        self._definitions = definitions
        self._kept: OrderedDict[str, tuple[EnvironmentHead, Snapshot]] = OrderedDict()

    async def read(self, environment_id: str) -> Snapshot:
        """At the environment's current revision; raises `NotFound`."""
        head = (await self._definitions.read_heads([environment_id])).get(environment_id)
        if head is None:
            self._kept.pop(environment_id, None)
            raise NotFound(f"environment {environment_id!r} does not exist")
        known = self._kept.get(environment_id)
        if known is None or known[0] != head:  # a restored store may go back
            known = await self._prepare(environment_id)
        self._kept[environment_id] = known
        self._kept.move_to_end(environment_id)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return known[1]

    async def _prepare(self, environment_id: str) -> tuple[EnvironmentHead, Snapshot]:
        read = await self._definitions.read_definitions(environment_id)
        # In a thread: a large environment takes a while, for which nobody else should wait.
        snapshot = await asyncio.to_thread(Snapshot.build, read.revision, read.flags, read.segments)
        return EnvironmentHead(read.revision, read.epoch), snapshot


def served_flags(
    snapshot: Snapshot, context: Context, size: int, token: str, now_ms: int
) -> Page[Result]:
    """By flag key; a token is the last key of the page before."""
    keys = snapshot.live_flag_keys()
    start = bisect_right(keys, token) if token else 0
    shown = keys[start : start + size]
    results = tuple(evaluate(snapshot, key, context, now_ms) for key in shown)
    return Page(results, shown[-1] if start + size < len(keys) else "")


def memberships(snapshot: Snapshot, context: Context, size: int, token: str) -> Page[Membership]:
    """By the segment's key; a token is the last key of the page before."""
    live = sorted(
        (segment for segment in snapshot.segments.values() if not segment.archived),
        key=lambda segment: segment.key,
    )
    following = (segment for segment in live if segment.key > token)
    found = list(islice(_memberships(snapshot, context, following), size + 1))
    shown = found[:size]
    return Page(tuple(shown), shown[-1].segment.key if len(found) > size else "")


def _memberships(
    snapshot: Snapshot, context: Context, segments: Iterable[Segment]
) -> Iterator[Membership]:
    for segment in segments:
        if is_member(snapshot.live_segments, segment.id, context):
            listed = snapshot.live_segments[segment.id].lists(context.key)
            yield Membership(segment, listed)
