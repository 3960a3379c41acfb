"""Whatever changes, a client stream gets exactly the results that differ for its user."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from featmesh.engine import evaluate_all
from featmesh.engine.model import (
    Condition,
    Context,
    ErrorKind,
    Flag,
    Prerequisite,
    Rollout,
    Rule,
    Segment,
    SegmentRule,
    Share,
    Target,
    ValueType,
    Variation,
)
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import result_to_proto
from featmesh.wire.changes import EvaluationAssembler
from services.evaluation.replica.view import View
from services.evaluation.sync.feeds import EvaluationFeed
from services.storage.model.definitions import Definitions, Tombstone

USERS = ("ada", "bob", "eve")
CONTEXTS = tuple(Context(key, attributes={"plan": key[0]}) for key in USERS)

FLAG_KEYS = st.sampled_from(["f0", "f1", "f2", "f3"])
SEGMENT_IDS = st.sampled_from(["s0", "s1", "s2", "s3"])
USER_LISTS = st.lists(st.sampled_from(USERS), max_size=2).map(tuple)
SEGMENT_CONDITIONS = st.builds(
    Condition,
    st.just(""),
    st.sampled_from(["IN_SEGMENT", "NOT_IN_SEGMENT"]),
    st.lists(SEGMENT_IDS, min_size=1, max_size=2).map(tuple),
)
CONDITIONS = SEGMENT_CONDITIONS | st.builds(
    Condition, st.just("plan"), st.just("EQUAL"), st.sampled_from(["a", "b"]).map(lambda p: (p,))
)
CONDITION_LISTS = st.lists(CONDITIONS, min_size=1, max_size=2).map(tuple)
ROLLOUTS = st.sampled_from(
    [
        Rollout((Share("on", 100_000),)),
        Rollout((Share("off", 100_000),)),
        Rollout((Share("on", 50_000), Share("off", 50_000))),
        Rollout((Share("on", 50_000, 25_000), Share("off", 50_000, 0)), in_experiment=True),
        Rollout((Share("nowhere", 100_000),)),
    ]
)
RARELY = st.sampled_from([False, False, False, True])
FLAGS = st.builds(
    Flag,
    key=FLAG_KEYS,
    value_type=st.just(ValueType.BOOLEAN),
    variations=st.sampled_from(
        [(Variation("on", "", True), Variation("off", "", off)) for off in (False, True)]
    ),
    off_variation_id=st.just("off"),
    fallthrough=ROLLOUTS,
    enabled=RARELY.map(lambda off: not off),
    prerequisites=st.lists(
        st.builds(Prerequisite, FLAG_KEYS, st.sampled_from(["on", "off"])), max_size=2
    ).map(tuple),
    targets=st.lists(st.builds(Target, st.sampled_from(["on", "off"]), USER_LISTS), max_size=1).map(
        tuple
    ),
    rules=st.lists(
        st.builds(Rule, st.just("r"), st.just(""), CONDITION_LISTS, ROLLOUTS), max_size=2
    ).map(tuple),
    include_all_targets=st.booleans(),
    archived=RARELY,
)
SEGMENTS = st.builds(
    Segment,
    id=SEGMENT_IDS,
    key=st.just("k"),
    included=USER_LISTS,
    excluded=USER_LISTS,
    rules=st.lists(
        st.builds(SegmentRule, st.just("r"), st.just(""), CONDITION_LISTS), max_size=1
    ).map(tuple),
    archived=RARELY,
)
WRITES = FLAGS | SEGMENTS | FLAG_KEYS | SEGMENT_IDS
"""An item is created or changed; a key or an id is deleted."""


def _member_rule(segment_id: str) -> tuple[Condition, ...]:
    return (Condition("", "IN_SEGMENT", (segment_id,)),)


ON, OFF = Rollout((Share("on", 100_000),)), Rollout((Share("off", 100_000),))
PLAIN = Flag(
    "f3",
    ValueType.BOOLEAN,
    (Variation("on", "", True), Variation("off", "", False)),
    "off",
    ON,
    enabled=True,
)
SKELETON: tuple[Flag | Segment, ...] = (
    Segment("s2", "k", ("ada",)),
    Segment("s1", "k", rules=(SegmentRule("r", "", _member_rule("s2")),)),
    Segment("s0", "k", rules=(SegmentRule("r", "", _member_rule("s1")),)),
    replace(PLAIN, key="f0", rules=(Rule("r", "", _member_rule("s0"), OFF),)),
    replace(PLAIN, key="f1", prerequisites=(Prerequisite("f0", "on"),)),
    replace(PLAIN, key="f2", prerequisites=(Prerequisite("f1", "on"),)),
    PLAIN,
)
"""Long ways from a segment to a flag, which chance alone seldom lays."""

Entry = Flag | Segment | Tombstone
Results = dict[str, evaluation_pb2.EvaluationResult]
E = TypeVar("E", Flag, Segment)


@dataclass
class Step:
    """One change, whether deletions before it are forgotten, and who looks afterwards."""

    writes: Sequence[Flag | Segment | str]
    compacts: bool
    is_seen: bool
    readers: frozenset[int]


STEPS = st.builds(
    Step,
    st.lists(WRITES, max_size=3),
    RARELY,
    st.booleans(),
    st.frozensets(st.integers(0, len(USERS) - 1)),
)


@dataclass
class Environment:
    """What the store keeps: the last state of each item, or its tombstone."""

    revision: int = 100
    floor: int = 0
    items: dict[str, Entry] = field(default_factory=dict)

    def change(self, writes: Iterable[Flag | Segment | str]) -> None:
        self.revision += 10
        for write in writes:
            if isinstance(write, str):
                if write in self.items:
                    self.items[write] = Tombstone(write, self.revision)
            else:
                key = write.key if isinstance(write, Flag) else write.id
                self.items[key] = replace(write, revision=self.revision)

    def compact(self) -> None:
        self.floor = self.revision
        self.items = {
            key: each
            for key, each in self.items.items()
            if not isinstance(each, Tombstone) or each.revision >= self.floor
        }

    def read(self, since: int = -1) -> Definitions:
        new = [each for each in self.items.values() if each.revision > since]
        dead = [each for each in new if isinstance(each, Tombstone)]
        return Definitions(
            "e",
            self.revision,
            self.floor,
            tuple(each for each in new if isinstance(each, Flag)),
            tuple(each for each in new if isinstance(each, Segment)),
            tuple(each for each in dead if each.key.startswith("f")),
            tuple(each for each in dead if each.key.startswith("s")),
        )


def as_the_replica_does(view: View, environment: Environment) -> View:
    changes = environment.read(view.revision)
    if changes.floor > view.revision:
        return view.replaced_by(environment.read())
    return view.after(changes)


def what_a_client_sees(view: View, context: Context) -> Results:
    """A full evaluation; a new revision of the flag alone is no difference."""
    results: Results = {}
    for key, result in evaluate_all(view.snapshot, context, 0).items():
        if result.error_kind is not ErrorKind.FLAG_NOT_FOUND:
            results[key] = result_to_proto(replace(result, flag_revision=0), for_client=True)
    return results


@dataclass
class Reader:
    """One client: its stream's feed, what it holds, and what it should hold."""

    context: Context
    feed: EvaluationFeed = field(init=False)
    held: Results = field(default_factory=dict)
    revision: int = 0

    def __post_init__(self) -> None:
        self.feed = EvaluationFeed(self.context, lambda: 0)

    def opens(self, view: View, since: int) -> None:
        self.feed = EvaluationFeed(self.context, lambda: 0)
        changes = sent(self.feed.first(view, since)[1])
        assert changes is not None
        assert changes.full == (not view.continues(since))
        self.apply(changes)
        self.revision = view.revision
        assert self.held == what_a_client_sees(view, self.context)

    def follows(self, view: View) -> None:
        if view.revision == self.revision:
            return
        before, after = self.held, what_a_client_sees(view, self.context)
        changes = sent(self.feed.next(view, self.revision))
        if view.continues(self.revision):
            differing = {key for key in after if before.get(key) != after[key]}
            gone = before.keys() - after.keys()
            if changes is None:
                assert (differing, gone) == (set(), set())
            else:
                assert {each.flag_key for each in changes.results} == differing
                assert set(changes.absent_flag_keys) == gone
                assert differing or gone, "a change set without a difference"
        if changes is not None:
            self.apply(changes)
        self.revision = view.revision
        assert self.held == after

    def apply(self, changes: Any) -> None:
        held = {} if changes.full else dict(self.held)
        for key in changes.absent_flag_keys:
            held.pop(key, None)
        for result in changes.results:
            message = result_to_proto(replace(result, flag_revision=0), for_client=True)
            held[result.flag_key] = message
        self.held = held


def sent(frames: Sequence[bytes]) -> Any:
    """The change set of these frames; None for none."""
    assembler, changes = EvaluationAssembler(), None
    for frame in frames:
        assert changes is None
        changes = assembler.add(sync_pb2.SyncEvaluationsResponse.FromString(frame).change_set)
    assert bool(frames) == (changes is not None)
    return changes


@settings(max_examples=150, deadline=None)
@given(st.lists(WRITES, max_size=2), st.lists(STEPS, min_size=1, max_size=6))
def test_streams_get_exactly_the_results_that_differ(
    first: list[Flag | Segment | str], steps: list[Step]
) -> None:
    """Also over several revisions at once, and when deletions were forgotten meanwhile."""
    environment = Environment()
    environment.change([*SKELETON, *first])
    view = View.of(environment.read())
    readers = [Reader(context) for context in CONTEXTS]
    for reader in readers:
        reader.opens(view, 0)
    for step in steps:
        environment.change(step.writes)
        if step.compacts:
            environment.compact()
        if step.is_seen:
            view = as_the_replica_does(view, environment)
        for number in step.readers:
            readers[number].follows(view)
    view = as_the_replica_does(view, environment)
    for reader in readers:
        reader.follows(view)


@settings(max_examples=150, deadline=None)
@given(st.lists(WRITES, max_size=2), st.lists(STEPS, min_size=1, max_size=6))
def test_clients_that_come_back_hold_what_is_current(
    first: list[Flag | Segment | str], steps: list[Step]
) -> None:
    environment = Environment()
    environment.change([*SKELETON, *first])
    view = View.of(environment.read())
    readers = [Reader(context) for context in CONTEXTS]
    for reader in readers:
        reader.opens(view, 0)
    for step in steps:
        environment.change(step.writes)
        if step.compacts:
            environment.compact()
        if step.is_seen:
            view = as_the_replica_does(view, environment)
        for number in step.readers:
            readers[number].opens(view, readers[number].revision)
