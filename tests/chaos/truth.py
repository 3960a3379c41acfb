"""What a reader must hold at each revision, derived from the commits alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Self

from featmesh.client.detail import plain_value
from featmesh.engine import Snapshot, evaluate_all
from featmesh.engine.model import Context, Flag, Segment
from tests.chaos.history import Commit, Digest, Environment, State

_NOW_MS = 0
"""The writer writes no rule that reads the clock."""


class Truth:
    """One environment as one kind of reader sees it."""

    def __init__(
        self,
        environment: Environment,
        states: Callable[[], Iterator[tuple[int, State]]],
        *,
        every_revision_is_sent: bool,
    ) -> None:
        self._states = states
        self.last = environment.revision
        self.every_revision_is_sent = every_revision_is_sent
        self.marks: Mapping[int, int] = _marks(states())

    @classmethod
    def of_definitions(cls, environment: Environment) -> Self:
        """For server SDKs: every item, archived ones too."""
        return cls(environment, lambda: _definitions(environment), every_revision_is_sent=True)

    @classmethod
    def of_results(cls, environment: Environment, context: Context) -> Self:
        """For a client SDK: the engine's value of each flag for its user."""
        return cls(
            environment, lambda: _results(environment, context), every_revision_is_sent=False
        )

    def state_at(self, revision: int) -> State:
        """The state that the revision made; nothing for one that nothing made."""
        return next((dict(state) for each, state in self._states() if each == revision), {})


def items_of(snapshot: Snapshot) -> State:
    """All that a server SDK holds."""
    items: dict[Hashable, Hashable] = {("flag", key): each for key, each in snapshot.flags.items()}
    items.update({("segment", key): each for key, each in snapshot.segments.items()})
    return items


def values_of(flags: Mapping[str, object]) -> State:
    """A client SDK's values in a form that can be compared and hashed."""
    return {key: json.dumps(value) for key, value in flags.items()}


def _marks(states: Iterator[tuple[int, State]]) -> dict[int, int]:
    digest = Digest()
    marks = {}
    for revision, state in states:
        digest.become(state)
        marks[revision] = digest.mark
    return marks


def _definitions(environment: Environment) -> Iterator[tuple[int, State]]:
    """The same dictionary each time, as it is then."""
    items: dict[Hashable, Hashable] = dict(environment.first_items)
    yield environment.first_revision, items
    for commit in environment.in_order():
        for key, item in commit.changes:
            items.pop(key, None)
            if item is not None:
                items[key] = item
        yield commit.revision, items


def _results(environment: Environment, context: Context) -> Iterator[tuple[int, State]]:
    first = Commit(
        environment.name, environment.first_revision, tuple(environment.first_items.items())
    )
    snapshot = Snapshot.empty()
    for commit in (first, *environment.in_order()):
        snapshot = _applied(snapshot, commit)
        results = evaluate_all(snapshot, context, _NOW_MS)
        yield (
            commit.revision,
            values_of(
                {key: plain_value(each) for key, each in results.items() if each.error_kind is None}
            ),
        )


def _applied(snapshot: Snapshot, commit: Commit) -> Snapshot:
    items = [item for _, item in commit.changes]
    gone = [key for key, item in commit.changes if item is None]
    return snapshot.apply(
        commit.revision,
        flags=[each for each in items if isinstance(each, Flag)],
        segments=[each for each in items if isinstance(each, Segment)],
        deleted_flag_keys=[name for kind, name in gone if kind == "flag"],
        deleted_segment_ids=[name for kind, name in gone if kind == "segment"],
    )
