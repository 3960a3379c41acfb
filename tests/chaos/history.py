"""What was written and what each reader saw: the facts that the checker judges."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from featmesh.engine.model import Flag, Segment

Item = Flag | Segment
ItemKey = tuple[str, str]
"""``flag`` and its key, or ``segment`` and its id."""

State = Mapping[Any, Hashable]
"""What a reader holds: items by their key, or a client SDK's values by flag."""

_MASK: Final = (1 << 64) - 1
_REMEMBERED: Final = 64
"""States that a reader can still show when the checker asks what was wrong."""


def key_of(item: Item) -> ItemKey:
    """Where an item stands in a state."""
    return ("flag", item.key) if isinstance(item, Flag) else ("segment", item.id)


@dataclass(frozen=True, slots=True)
class Commit:
    """One change that is known to be committed. ``after`` is None for a deletion."""

    environment: str
    revision: int
    changes: tuple[tuple[ItemKey, Item | None], ...]


class ContradictoryAnswers(Exception):
    """The management API answered two writes with one revision and different contents."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A reader held this revision; ``mark`` sums up the content that it held with it."""

    revision: int
    mark: int
    at: float


class Digest:
    """A state and a number that sums it up, kept current entry by entry.

    Two states that differ have two numbers, within one process.
    """

    def __init__(self) -> None:
        self.state: dict[Hashable, Hashable] = {}
        self.mark = 0

    def put(self, key: Hashable, value: Hashable | None) -> None:
        """The entry is so from now on, or gone."""
        before = self.state.pop(key, None)
        if before is not None:
            self.mark = (self.mark - hash((key, before))) & _MASK
        if value is not None:
            self.state[key] = value
            self.mark = (self.mark + hash((key, value))) & _MASK

    def become(self, state: State) -> None:
        """The whole state at once; only what is another object is looked at."""
        for key in [key for key in self.state if key not in state]:
            self.put(key, None)
        for key, value in state.items():
            if self.state.get(key) is not value:
                self.put(key, value)


@dataclass(slots=True)
class Reader:
    """What one reader saw of its environment, in order."""

    name: str
    environment: str
    seen: list[Seen] = field(default_factory=list)
    proved: int = 0
    """How many of them, from the first, were checked in an earlier trial."""
    faults: list[str] = field(default_factory=list)
    """What was wrong as it happened: a default that was served, an item out of order."""
    states: deque[tuple[int, State]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    digest: Digest = field(default_factory=Digest)

    def saw(self, revision: int, state: State, at: float) -> None:
        """The reader applied a revision, and with it held this state."""
        self.digest.become(state)
        self.states.append((revision, dict(state)))
        self.seen.append(Seen(revision, self.digest.mark, at))

    @property
    def revision(self) -> int:
        """What it holds; 0 for nothing."""
        return self.seen[-1].revision if self.seen else 0

    @property
    def mark(self) -> int:
        """Of what it holds."""
        return self.seen[-1].mark if self.seen else 0

    def forget(self) -> None:
        """All but the last of what was seen, which is proved."""
        del self.seen[:-1]
        self.proved = len(self.seen)

    def state_at(self, revision: int) -> State | None:
        """What it held at a revision, if that is not too long ago."""
        return next((state for each, state in reversed(self.states) if each == revision), None)


class Environment:
    """One environment's truth: what it held at ``first_revision``, and every commit since."""

    def __init__(self, name: str, environment_id: str, revision: int) -> None:
        self.name = name
        self.id = environment_id
        self.first_revision = revision
        self.first_items: dict[ItemKey, Item] = {}
        self.commits: dict[int, Commit] = {}
        self.committed_at: dict[int, float] = {}
        """When each revision was first known to be committed, by whomever."""

    def add(self, commit: Commit, at: float) -> None:
        """A write was answered. A revision that two answers name must mean the same twice."""
        known = self.commits.setdefault(commit.revision, commit)
        if known != commit:
            text = f"{self.name}: revision {commit.revision} was answered with two contents"
            raise ContradictoryAnswers(text)
        self.was_committed(commit.revision, at)

    def was_committed(self, revision: int, at: float) -> None:
        """The earliest news counts."""
        self.committed_at[revision] = min(at, self.committed_at.get(revision, at))

    def in_order(self) -> list[Commit]:
        """The commits, oldest first."""
        return [self.commits[revision] for revision in sorted(self.commits)]

    @property
    def revision(self) -> int:
        """Of the latest commit."""
        return max(self.commits, default=self.first_revision)

    def forget(self) -> None:
        """What was checked needs no proof again: history begins now."""
        for commit in self.in_order():
            for key, item in commit.changes:
                if item is None:
                    self.first_items.pop(key, None)
                else:
                    self.first_items[key] = item
        self.first_revision = self.revision
        self.commits.clear()
        self.committed_at.clear()
