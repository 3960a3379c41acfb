"""Judges a history: pure functions from facts to sentences about what broke."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final

from featmesh.engine.model import Flag
from services.api.changes.references import live, references
from tests.chaos.history import Commit, Environment, Item, Reader, Seen, State
from tests.chaos.truth import Truth

SHOWN: Final = 10
"""Sentences about one part; a broken run has thousands that say the same."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What MongoDB holds of an environment: its items, and what its history says of each change."""

    revision: int
    items: State
    history: Mapping[int, Commit]


def check_store(environment: Environment, stored: Stored) -> list[str]:
    """The store holds every acknowledged write, as it was acknowledged, and nothing else."""
    found = islice(_store_faults(environment, stored), SHOWN)
    return [f"{environment.name}: {each}" for each in found]


def check_reader(truth: Truth, reader: Reader) -> list[str]:
    """What one reader saw is the environment's history, and it holds the end of it."""
    faults = islice(_reader_faults(truth, reader), SHOWN)
    return [f"{reader.name}: {each}" for each in faults]


def lost_updates(
    commits: Collection[int], stored: Stored, truths: Mapping[str, Truth], readers: Sequence[Reader]
) -> int:
    """How many of these revisions the store does not have, or some reader never came to.

    A reader has come as far as the latest revision at which it held exactly the right state.
    """
    reached = [_reached(truths[reader.name], reader) for reader in readers]
    least = min(reached, default=stored.revision)
    return sum(each not in stored.history or each > least for each in commits)


def staleness(committed_at: Mapping[int, float], seen: Sequence[Seen], since: int) -> float:
    """Seconds, at most: from a commit after revision ``since`` until the reader had it."""
    longest, position = 0.0, 0
    for revision in sorted(each for each in committed_at if each > since):
        while position < len(seen) and seen[position].revision < revision:
            position += 1
        if position == len(seen):
            break
        longest = max(longest, seen[position].at - committed_at[revision])
    return longest


def order_fault(held_segments: Collection[str], arriving: Sequence[Item]) -> str:
    """The flag that comes before a segment which it uses, if any does."""
    here = set(held_segments)
    for item in arriving:
        if not isinstance(item, Flag):
            here.add(item.id)
        elif live(item):
            for each in references(item):
                if each.kind is not Flag and each.target not in here:
                    return f"flag {item.key} came before segment {each.target}, which it uses"
    return ""


def _store_faults(environment: Environment, stored: Stored) -> Iterator[str]:
    for revision, commit in sorted(environment.commits.items()):
        kept = stored.history.get(revision)
        if kept is None:
            yield f"revision {revision} was acknowledged and is not in the store"
        elif dict(kept.changes) != dict(commit.changes):
            yield f"revision {revision} is stored as something else than acknowledged"
    for revision in sorted(stored.history.keys() - environment.commits.keys()):
        yield f"revision {revision} is in the store and was never acknowledged"
    if stored.revision != environment.revision:
        yield f"the store is at {stored.revision}, the last write at {environment.revision}"
    expected = Truth.of_definitions(environment).state_at(environment.revision)
    yield from _differences("the store", expected, stored.items)


def _reader_faults(truth: Truth, reader: Reader) -> Iterator[str]:
    yield from reader.faults
    for before, after in pairwise(reader.seen):
        if after.revision < before.revision:
            yield f"fell from revision {before.revision} to {after.revision}"
    for each in reader.seen[reader.proved :]:
        expected = truth.marks.get(each.revision)
        if expected is None:
            yield f"held revision {each.revision}, which nothing wrote"
        elif expected != each.mark:
            yield from _explained(truth, reader, each.revision)
    if truth.marks[truth.last] != reader.mark or (
        truth.every_revision_is_sent and reader.revision != truth.last
    ):
        yield f"ended at revision {reader.revision} and does not hold what is at {truth.last}"


def _explained(truth: Truth, reader: Reader, revision: int) -> Iterator[str]:
    held = reader.state_at(revision)
    if held is None:
        yield f"held something else than the store at revision {revision}"
        return
    where = f"at revision {revision}"
    yield from islice(_differences(where, truth.state_at(revision), held), 3)


def _differences(where: str, expected: State, held: State) -> Iterator[str]:
    for key in sorted(expected.keys() | held.keys(), key=repr):
        wanted, got = expected.get(key), held.get(key)
        if wanted is None:
            yield f"{where}: {key} is there and must not be: {got}"
        elif got is None:
            yield f"{where}: {key} is missing, which must be {wanted}"
        elif wanted != got:
            yield f"{where}: {key} is {got}, not {wanted}"


def _reached(truth: Truth, reader: Reader) -> int:
    if not truth.every_revision_is_sent and reader.mark == truth.marks[truth.last]:
        return truth.last
    good = (each.revision for each in reader.seen if truth.marks.get(each.revision) == each.mark)
    return max(good, default=0)
