"""FeatMesh: the client as applications use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from bench.evaluation.subject import Call, Calls
from bench.evaluation.workload import ATTRIBUTE, MEMBERS, PATTERN, SEGMENT, FlagSpec, User
from featmesh.client import Client, Options
from featmesh.engine import (
    FULL_WEIGHT,
    Attribute,
    Condition,
    Context,
    Flag,
    Operator,
    Rollout,
    Rule,
    Segment,
    Share,
    Snapshot,
    Target,
    ValueType,
    Variation,
)
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import DefinitionAssembler, flag_to_proto, segment_to_proto

NOWHERE = "127.0.0.1:1"
"""Nobody listens there, and connecting fails at once: events are counted and kept."""

_ON, _OFF = (Variation("on", "On", True), Variation("off", "Off", False))


class FeatMesh:
    """See `Subject`."""

    has_segments = has_switchable_events = events = has_patterns = True
    is_native = False

    @contextmanager
    def open(self, flags: Sequence[FlagSpec], folder: Path, *, sink: str | None) -> Iterator[Calls]:
        """The client, bootstrapped from a file; without events it is offline."""
        file = folder / "bootstrap.json"
        file.write_text(json_format.MessageToJson(change_set(flags)), encoding="utf-8")
        options = (
            Options(offline=True, bootstrap_file=file)
            if sink is None
            else Options(bootstrap_file=file, backoff_maximum=300.0)
        )
        with Client(NOWHERE, "sdk-key", options=options) as client:

            def calls(flag_key: str, users: Sequence[User]) -> list[Call]:
                return [(client.boolean_value, (flag_key, context(user), False)) for user in users]

            yield calls

    def value(self, answer: Any) -> object:
        """It is the value."""
        return answer

    def loader(self, flags: Sequence[FlagSpec]) -> Callable[[], object]:
        """From the bytes of a stream's change set to a snapshot."""
        received = change_set(flags).SerializeToString()

        def load() -> Snapshot:
            message = sync_pb2.DefinitionChangeSet.FromString(received)
            changes = DefinitionAssembler().add(message)
            assert changes is not None
            return Snapshot.build(changes.revision, changes.flags, changes.segments)

        return load


def snapshot(flags: Sequence[FlagSpec]) -> Snapshot:
    """The engine's own form."""
    return Snapshot.build(1, [engine_flag(each) for each in flags], [_segment()])


def change_set(flags: Sequence[FlagSpec]) -> sync_pb2.DefinitionChangeSet:
    """Flags and the segment as the server sends them."""
    items = [sync_pb2.Item(segment=segment_to_proto(_segment()))]
    items += [sync_pb2.Item(flag=flag_to_proto(engine_flag(each))) for each in flags]
    return sync_pb2.DefinitionChangeSet(
        kind=sync_pb2.CHANGE_KIND_FULL, revision=1, last=True, items=items
    )


def context(user: User) -> Context:
    """The user as our SDK takes one."""
    attributes: dict[str, Attribute] = {
        "country": user.country,
        "age": user.age,
        ATTRIBUTE: user.text,
    }
    return Context(user.key, "", attributes)


def engine_flag(spec: FlagSpec) -> Flag:
    """The flag as our engine takes one."""
    conditions = _conditions(spec)
    rules = (Rule("rule", "Rule", conditions, _serve(100)),) if conditions else ()
    return Flag(
        key=spec.key,
        value_type=ValueType.BOOLEAN,
        variations=(_ON, _OFF),
        off_variation_id=_OFF.id,
        fallthrough=_serve(spec.share),
        enabled=True,
        targets=(Target(_ON.id, spec.targets),) if spec.targets else (),
        rules=rules,
        revision=1,
    )


def _conditions(spec: FlagSpec) -> tuple[Condition, ...]:
    found = []
    if spec.countries:
        found.append(Condition("country", Operator.IN, spec.countries))
    if spec.adult:
        found.append(Condition("age", Operator.GREATER_OR_EQUAL, ("18",)))
    if spec.segment:
        found.append(Condition("", Operator.IN_SEGMENT, (SEGMENT,)))
    if spec.pattern:
        found.append(Condition(ATTRIBUTE, Operator.MATCHES, (PATTERN,)))
    return tuple(found)


def _serve(share: int) -> Rollout:
    if share in {0, 100}:
        return Rollout((Share(_ON.id if share else _OFF.id, FULL_WEIGHT),))
    weight = FULL_WEIGHT * share // 100
    return Rollout((Share(_ON.id, weight), Share(_OFF.id, FULL_WEIGHT - weight)))


def _segment() -> Segment:
    return Segment(SEGMENT, SEGMENT, included=tuple(sorted(MEMBERS)))
