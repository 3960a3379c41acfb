"""Change sets arrive as a whole or not at all."""

from __future__ import annotations

import pytest

from featmesh.engine import (
    Flag,
    Reason,
    Result,
    Rollout,
    Segment,
    Share,
    ValueType,
    Variation,
)
from featmesh.errors import FeatMeshError, ProtocolError
from featmesh.sync.v1 import sync_pb2
from featmesh.wire import (
    DefinitionAssembler,
    DefinitionChanges,
    EvaluationAssembler,
    EvaluationChanges,
    changes,
    flag_to_proto,
    result_to_proto,
    segment_to_proto,
)

FLAG = Flag(
    "f",
    ValueType.STRING,
    (Variation("v", "V", "x" * 500),),
    "v",
    Rollout((Share("v", 100_000),)),
)
SEGMENT = Segment("s", "segment", included=("alice",))
FLAG_ITEM = sync_pb2.Item(flag=flag_to_proto(FLAG))
SEGMENT_ITEM = sync_pb2.Item(segment=segment_to_proto(SEGMENT))
PATCH, FULL = sync_pb2.CHANGE_KIND_PATCH, sync_pb2.CHANGE_KIND_FULL


def part(
    number: int,
    *items: sync_pb2.Item,
    last: bool = False,
    revision: int = 5,
    kind: sync_pb2.ChangeKind.ValueType = PATCH,
) -> sync_pb2.DefinitionChangeSet:
    return sync_pb2.DefinitionChangeSet(
        kind=kind, revision=revision, part=number, last=last, items=items
    )


def fragment(data: bytes, *, last: bool = False) -> sync_pb2.Item:
    return sync_pb2.Item(fragment=sync_pb2.ItemFragment(data=data, last=last))


def fragments(item: sync_pb2.Item, count: int) -> list[sync_pb2.Item]:
    data = item.SerializeToString()
    size = len(data) // count + 1
    slices = [data[start : start + size] for start in range(0, len(data), size)]
    return [fragment(each, last=each is slices[-1]) for each in slices]


def test_a_change_set_of_one_part_is_had_at_once() -> None:
    items = (
        SEGMENT_ITEM,
        FLAG_ITEM,
        sync_pb2.Item(deleted_flag_key="old"),
        sync_pb2.Item(deleted_segment_id="gone"),
    )
    assert DefinitionAssembler().add(part(0, *items, last=True)) == DefinitionChanges(
        full=False,
        revision=5,
        flags=(FLAG,),
        segments=(SEGMENT,),
        deleted_flag_keys=("old",),
        deleted_segment_ids=("gone",),
    )


def test_parts_are_had_together_with_the_last() -> None:
    assembler = DefinitionAssembler()
    assert assembler.add(part(0, SEGMENT_ITEM, kind=FULL)) is None
    assert assembler.add(part(1, kind=FULL)) is None
    whole = assembler.add(part(2, FLAG_ITEM, last=True, kind=FULL))
    assert whole == DefinitionChanges(True, 5, (FLAG,), (SEGMENT,))


def test_a_change_set_has_the_token_of_its_last_part() -> None:
    assembler = DefinitionAssembler()
    first, last = part(0, FLAG_ITEM), part(1, last=True)
    token = sync_pb2.ResumeToken(epoch=b"epoch", revision=5, digest=b"digest")
    first.resume.revision = 4
    last.resume.CopyFrom(token)
    assembler.add(first)
    assert assembler.add(last) == DefinitionChanges(False, 5, (FLAG,), resume=token)
    assert assembler.add(part(0, last=True)) == DefinitionChanges(False, 5)


def test_one_change_set_follows_another() -> None:
    assembler = DefinitionAssembler()
    assembler.add(part(0, FLAG_ITEM))
    assembler.add(part(1, last=True))
    assert assembler.add(part(0, last=True, revision=6)) == DefinitionChanges(False, 6)


def test_fragments_are_joined_over_parts() -> None:
    pieces = fragments(FLAG_ITEM, 5)
    assembler = DefinitionAssembler()
    assert assembler.add(part(0, SEGMENT_ITEM, pieces[0])) is None
    for number, piece in enumerate(pieces[1:], start=1):
        assert assembler.add(part(number, piece)) is None
    whole = assembler.add(part(len(pieces), *fragments(SEGMENT_ITEM, 2), last=True))
    assert whole == DefinitionChanges(False, 5, (FLAG,), (SEGMENT, SEGMENT))


def test_an_item_of_an_unknown_kind_is_done_without() -> None:
    assert DefinitionAssembler().add(part(0, sync_pb2.Item(), last=True)) == DefinitionChanges(
        False, 5
    )
    empty = sync_pb2.EvaluationChangeSet(
        kind=FULL, revision=5, last=True, items=[sync_pb2.EvaluationItem()]
    )
    assert EvaluationAssembler().add(empty) == EvaluationChanges(True, 5)


HALF = fragments(FLAG_ITEM, 2)[0]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([part(1)], "part 1 of a change set came where part 0 was due"),
        ([part(0), part(2)], "part 2 of a change set came where part 1 was due"),
        ([part(0), part(0)], "part 0 of a change set came where part 1 was due"),
        ([part(0), part(1, revision=6)], "parts of one change set differ"),
        ([part(0), part(1, kind=FULL)], "parts of one change set differ"),
        ([part(0, kind=sync_pb2.CHANGE_KIND_UNSPECIFIED)], "unknown kind 0"),
        ([part(0, HALF, last=True)], "ended amid the fragments"),
        ([part(0, HALF), part(1, SEGMENT_ITEM)], "between the fragments of another one"),
        ([part(0, fragment(b"\xff\xff", last=True))], "do not join to one"),
        (
            [part(0, fragment(fragment(b"x").SerializeToString(), last=True))],
            "join to another fragment",
        ),
    ],
)
def test_a_breach_of_the_protocol_is_refused_and_forgotten(
    parts: list[sync_pb2.DefinitionChangeSet], sentence: str
) -> None:
    assembler = DefinitionAssembler()
    for each in parts[:-1]:
        assert assembler.add(each) is None
    with pytest.raises(ProtocolError, match=sentence):
        assembler.add(parts[-1])
    assert assembler.add(part(0, last=True, revision=9)) == DefinitionChanges(False, 9)


def test_a_change_set_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert changes.MAX_CHANGE_SET_BYTES == 64 * 1024 * 1024
    monkeypatch.setattr(changes, "MAX_CHANGE_SET_BYTES", 3 * part(0, FLAG_ITEM).ByteSize())
    assembler = DefinitionAssembler()
    assembler.add(part(0, FLAG_ITEM))
    assembler.add(part(1, FLAG_ITEM))
    with pytest.raises(ProtocolError, match="larger than"):
        assembler.add(part(2, FLAG_ITEM))


def test_results_are_put_together_in_the_same_way() -> None:
    result = Result("f", True, "v", Reason.TARGET_MATCH, value_type=ValueType.BOOLEAN)
    first = sync_pb2.EvaluationChangeSet(
        kind=PATCH,
        revision=8,
        items=[sync_pb2.EvaluationItem(result=result_to_proto(result, for_client=True))],
    )
    last = sync_pb2.EvaluationChangeSet(
        kind=PATCH,
        revision=8,
        part=1,
        last=True,
        items=[sync_pb2.EvaluationItem(absent_flag_key="gone")],
    )
    assembler = EvaluationAssembler()
    assert assembler.add(first) is None
    assert assembler.add(last) == EvaluationChanges(False, 8, (result,), ("gone",))
    with pytest.raises(FeatMeshError):
        assembler.add(last)
