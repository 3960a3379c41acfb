"""Messages and the model are the same thing said twice."""

from __future__ import annotations

import contextlib
import math
from typing import cast

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from featmesh.engine import (
    Condition,
    Context,
    ErrorKind,
    Flag,
    Operator,
    Prerequisite,
    Reason,
    Result,
    Rollout,
    Rule,
    Segment,
    SegmentRule,
    Share,
    Snapshot,
    Target,
    ValueType,
    Variation,
    evaluate,
)
from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.flag.v1 import condition_pb2, flag_pb2, segment_pb2, value_pb2
from featmesh.wire import (
    context_from_proto,
    context_to_proto,
    flag_from_proto,
    flag_to_proto,
    result_from_proto,
    result_to_proto,
    segment_from_proto,
    segment_to_proto,
    value_from_proto,
    value_to_proto,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
TEXT_TUPLES = st.lists(TEXT, max_size=3).map(tuple)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
OPERATORS = st.one_of(
    st.sampled_from([str(each) for each in Operator]),
    st.integers(26, 2**31 - 1).map(lambda number: f"OPERATOR_{number}"),
    st.just("OPERATOR_0"),
)
CONDITIONS = st.lists(st.builds(Condition, TEXT, OPERATORS, TEXT_TUPLES), max_size=2).map(tuple)
ROLLOUTS = st.builds(
    Rollout,
    st.lists(st.builds(Share, TEXT, INT32, INT32), max_size=3).map(tuple),
    TEXT,
    st.booleans(),
)
VALUES = {
    ValueType.BOOLEAN: st.booleans(),
    ValueType.STRING: TEXT,
    ValueType.NUMBER: FINITE,
    ValueType.JSON: TEXT,
}


def flags_of(value_type: ValueType) -> st.SearchStrategy[Flag]:
    return st.builds(
        Flag,
        key=TEXT,
        value_type=st.just(value_type),
        variations=st.lists(st.builds(Variation, TEXT, TEXT, VALUES[value_type]), max_size=3).map(
            tuple
        ),
        off_variation_id=TEXT,
        fallthrough=ROLLOUTS,
        enabled=st.booleans(),
        salt=TEXT,
        prerequisites=st.lists(st.builds(Prerequisite, TEXT, TEXT), max_size=2).map(tuple),
        targets=st.lists(st.builds(Target, TEXT, TEXT_TUPLES), max_size=2).map(tuple),
        rules=st.lists(st.builds(Rule, TEXT, TEXT, CONDITIONS, ROLLOUTS), max_size=2).map(tuple),
        include_all_targets=st.booleans(),
        archived=st.booleans(),
        version=INT64,
        revision=INT64,
    )


SEGMENTS = st.builds(
    Segment,
    id=TEXT,
    key=TEXT,
    included=TEXT_TUPLES,
    excluded=TEXT_TUPLES,
    rules=st.lists(st.builds(SegmentRule, TEXT, TEXT, CONDITIONS), max_size=2).map(tuple),
    archived=st.booleans(),
    version=INT64,
    revision=INT64,
)
CONTEXTS = st.builds(
    Context,
    TEXT,
    TEXT,
    st.dictionaries(TEXT, st.one_of(TEXT, FINITE, st.booleans(), TEXT_TUPLES), max_size=3),
)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(ValueType).flatmap(flags_of))
def test_a_flag_comes_back_as_it_went(flag: Flag) -> None:
    message = flag_pb2.Flag.FromString(flag_to_proto(flag).SerializeToString())
    assert flag_from_proto(message) == flag


@settings(max_examples=60, deadline=None)
@given(SEGMENTS)
def test_a_segment_comes_back_as_it_went(segment: Segment) -> None:
    message = segment_pb2.Segment.FromString(segment_to_proto(segment).SerializeToString())
    assert segment_from_proto(message) == segment


@settings(max_examples=60, deadline=None)
@given(CONTEXTS)
def test_a_context_comes_back_as_it_went(context: Context) -> None:
    encoded = context_to_proto(context).SerializeToString()
    back = context_from_proto(evaluation_pb2.Context.FromString(encoded))
    assert back == context
    kinds = {name: type(value) for name, value in context.attributes.items()}
    assert {name: type(value) for name, value in back.attributes.items()} == kinds


def test_attributes_are_sent_as_the_engine_sees_them() -> None:
    attributes = {
        "int": 5,
        "huge": 10**400,
        "list": ["a", 1, True, None],
        "none": None,
        "dict": {"a": 1},
    }
    context = Context("alice", "", attributes)  # type: ignore[arg-type]  # what a caller may do
    back = context_from_proto(context_to_proto(context))
    assert back.attributes == {"int": 5.0, "huge": math.inf, "list": ("a", "1", "true")}


def test_an_attribute_that_is_not_set_is_left_out() -> None:
    message = evaluation_pb2.Context(key="alice")
    message.attributes["empty"].Clear()
    assert context_from_proto(message) == Context("alice")


@pytest.mark.parametrize("value_type", ValueType)
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_value_comes_back_with_its_type(value_type: ValueType, data: st.DataObject) -> None:
    value = cast("bool | float | str", data.draw(VALUES[value_type]))
    assert value_from_proto(value_to_proto(value, value_type)) == (value, value_type)


def test_a_value_that_is_not_of_its_type_cannot_be_sent() -> None:
    with pytest.raises(TypeError):
        value_to_proto("yes", ValueType.BOOLEAN)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_value_that_is_not_set_or_not_finite_is_none(number: float) -> None:
    assert value_from_proto(value_pb2.Value()) is None
    assert value_from_proto(value_pb2.Value(number_value=number)) is None


# --- operators ----------------------------------------------------------------------------


def test_an_operator_that_only_a_newer_build_knows_passes_through() -> None:
    message = flag_pb2.Flag(rules=[flag_pb2.Rule(conditions=[condition_pb2.Condition()])])
    encoded = message.rules[0].conditions[0]
    encoded.operator = 4711  # type: ignore[assignment]  # the enum is open
    flag = flag_from_proto(flag_pb2.Flag.FromString(message.SerializeToString()))
    assert flag.rules[0].conditions[0].operator == "OPERATOR_4711"
    assert flag_to_proto(flag).rules[0].conditions[0].operator == 4711


@pytest.mark.parametrize("name", ["", "NONSENSE", "OPERATOR_", "OPERATOR_99999999999", "EQUAL "])
def test_a_nameless_operator_is_sent_as_unspecified(name: str) -> None:
    segment = Segment("s", "s", rules=(SegmentRule("r", "", (Condition("a", name),)),))
    sent = segment_to_proto(segment).rules[0].conditions[0].operator
    assert sent == condition_pb2.OPERATOR_UNSPECIFIED


def test_every_operator_of_the_wire_is_one_of_the_engine() -> None:
    on_wire = {name.removeprefix("OPERATOR_") for name, _ in condition_pb2.Operator.items()}
    assert on_wire - {"UNSPECIFIED"} == set(Operator)


# --- malformed messages -------------------------------------------------------------------

BOTH = (
    flag_pb2.Variation(id="on", value=value_pb2.Value(bool_value=True)),
    flag_pb2.Variation(id="off", value=value_pb2.Value(bool_value=False)),
)
SOUND = flag_from_proto(
    flag_pb2.Flag(
        key="f",
        value_type=value_pb2.VALUE_TYPE_BOOLEAN,
        variations=BOTH,
        enabled=True,
        off_variation_id="off",
        fallthrough={"shares": [{"variation_id": "on", "weight": 100_000}]},  # type: ignore[arg-type]
    )
)


def altered(**fields: object) -> flag_pb2.Flag:
    message = flag_to_proto(SOUND)
    for name, value in fields.items():
        message.ClearField(name)  # type: ignore[arg-type]  # one of its fields
        message.MergeFrom(flag_pb2.Flag(**{name: value}))  # type: ignore[arg-type]
    return message


@pytest.mark.parametrize(
    "message",
    [
        altered(fallthrough=None),
        altered(variations=[flag_pb2.Variation(id="on"), BOTH[1]]),
        altered(variations=[{"id": "on", "value": {"string_value": "true"}}]),
        altered(variations=[{"id": "on", "value": {"number_value": math.nan}}]),
        altered(variations=[]),
        altered(value_type=value_pb2.VALUE_TYPE_UNSPECIFIED),
        altered(value_type=value_pb2.VALUE_TYPE_JSON),
        altered(value_type=99),
        altered(rules=[flag_pb2.Rule(id="r")]),
        altered(enabled=False, off_variation_id=""),
    ],
)
def test_a_malformed_message_becomes_a_malformed_flag(message: flag_pb2.Flag) -> None:
    snapshot = Snapshot.build(1, [flag_from_proto(message)], [])
    result = evaluate(snapshot, "f", Context("alice"), 0)
    assert result.error_kind is ErrorKind.MALFORMED_FLAG


def test_the_flag_that_was_not_altered_is_sound() -> None:
    assert evaluate(Snapshot.build(1, [SOUND], []), "f", Context("alice"), 0).value is True


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_whatever_parses_can_be_read(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        flag_from_proto(flag_pb2.Flag.FromString(data))
    with contextlib.suppress(DecodeError):
        segment_from_proto(segment_pb2.Segment.FromString(data))
    with contextlib.suppress(DecodeError):
        context_from_proto(evaluation_pb2.Context.FromString(data))
    with contextlib.suppress(DecodeError):
        result_from_proto(evaluation_pb2.EvaluationResult.FromString(data))


# --- results ------------------------------------------------------------------------------

RULE_MATCH = Result(
    "f", "v", "id", Reason.RULE_MATCH, "rule", "Rule", True, True, 9, value_type=ValueType.JSON
)
FAILED = Result(
    "f", 1.0, "id", Reason.PREREQUISITE_FAILED, prerequisite_key="p", value_type=ValueType.NUMBER
)
ERROR = Result("f", None, "", Reason.ERROR, flag_revision=3, error_kind=ErrorKind.MALFORMED_FLAG)


@pytest.mark.parametrize("result", [RULE_MATCH, FAILED, ERROR])
def test_a_result_comes_back_as_it_went(result: Result) -> None:
    assert result_from_proto(result_to_proto(result, for_client=False)) == result


@pytest.mark.parametrize("reason", [each for each in Reason if each is not Reason.ERROR])
def test_every_reason_passes(reason: Reason) -> None:
    result = Result("f", False, "id", reason, value_type=ValueType.BOOLEAN)
    assert result_from_proto(result_to_proto(result, for_client=True)) == result


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_error_kind_passes(kind: ErrorKind) -> None:
    result = Result("f", None, "", Reason.ERROR, error_kind=kind)
    assert result_from_proto(result_to_proto(result, for_client=True)) == result


@pytest.mark.parametrize("result", [RULE_MATCH, FAILED])
def test_a_client_learns_nothing_of_rules_and_prerequisites(result: Result) -> None:
    message = result_to_proto(result, for_client=True)
    assert (message.rule_id, message.rule_name, message.prerequisite_key) == ("", "", "")
    assert message.variation_id == "id"
    assert b"ule" not in message.SerializeToString()


@pytest.mark.parametrize(("value", "kind"), [(True, "bool_value"), ("x", "string_value"),
                                             (2.5, "number_value")])  # fmt: skip
def test_a_result_without_a_type_is_sent_by_the_type_of_its_value(
    value: bool | float | str, kind: str
) -> None:
    message = result_to_proto(Result("f", value, "id", Reason.OFF), for_client=False)
    assert message.value.WhichOneof("kind") == kind


def test_a_result_without_value_or_kind_is_a_general_error() -> None:
    result = result_from_proto(evaluation_pb2.EvaluationResult(flag_key="f"))
    assert (result.reason, result.error_kind) == (Reason.ERROR, ErrorKind.GENERAL)


def test_a_result_of_an_unknown_reason_keeps_its_value() -> None:
    message = result_to_proto(RULE_MATCH, for_client=False)
    message.reason = 77  # type: ignore[assignment]  # the enum is open
    result = result_from_proto(message)
    assert (result.value, result.reason) == ("v", Reason.FALLTHROUGH)
