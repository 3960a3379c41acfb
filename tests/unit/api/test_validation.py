"""Every limit of a flag and a segment, on the messages alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from featmesh.flag.v1 import condition_pb2, flag_pb2, value_pb2
from featmesh.management.v1 import flag_service_pb2, segment_service_pb2
from services.api.rpc.validation.flags import check_flag_resource
from services.api.rpc.validation.segments import check_segment_resource
from services.runtime.field_rules import check_message, rule_of
from services.runtime.violations import Violations, quoted
from tests.support.api import boolean_flag, rollout, segment_resource
from tests.support.api import flag_resource as resource_of

Flag = flag_pb2.Flag
Edit = Callable[[Any], object]
Op = condition_pb2


# A request is checked by the rules of its fields, and by what they cannot say if it keeps them.


def flag_faults(resource: flag_service_pb2.FlagResource) -> dict[str, str]:
    found = Violations()
    check_message(found, "resource", resource)
    check_flag_resource(found, "resource", resource)
    return collected(found)


def segment_faults(resource: segment_service_pb2.SegmentResource) -> dict[str, str]:
    found = Violations()
    check_message(found, "resource", resource)
    check_segment_resource(found, "resource", resource)
    return collected(found)


def collected(found: Violations) -> dict[str, str]:
    return {each.field: each.description for each in found}


def with_condition(
    operator: condition_pb2.Operator.ValueType, values: list[str], attribute: str = "age"
) -> flag_service_pb2.FlagResource:
    condition = condition_pb2.Condition(attribute=attribute, operator=operator, values=values)
    rule = flag_pb2.Rule(conditions=[condition], rollout=rollout("on"))
    return resource_of("f", rules=[rule])


def with_value(
    value_type: value_pb2.ValueType.ValueType, value: value_pb2.Value
) -> flag_service_pb2.FlagResource:
    flag = flag_pb2.Flag(
        key="f",
        value_type=value_type,
        variations=[flag_pb2.Variation(id="on", value=value)],
        off_variation_id="on",
    )
    flag.fallthrough.CopyFrom(rollout("on"))
    return flag_service_pb2.FlagResource(flag=flag, display_name="F")


def shares(flag: Any, *weights: int) -> None:
    del flag.fallthrough.shares[:]
    for weight in weights:
        flag.fallthrough.shares.add(variation_id="on", weight=weight)


FLAW: dict[str, tuple[Edit, set[str]]] = {
    "key": (lambda f: setattr(f, "key", "no spaces"), {"key"}),
    "long key": (lambda f: setattr(f, "key", "k" * 129), {"key"}),
    "salt": (lambda f: setattr(f, "salt", "é" * 65), {"salt"}),
    "no type": (lambda f: setattr(f, "value_type", 0), {"value_type"}),
    "unknown type": (lambda f: setattr(f, "value_type", 9), {"value_type"}),
    "no fallthrough": (lambda f: f.ClearField("fallthrough"), {"fallthrough"}),
    "off": (lambda f: setattr(f, "off_variation_id", "gone"), {"off_variation_id"}),
    "no off": (lambda f: setattr(f, "off_variation_id", ""), {"off_variation_id"}),
    "same variation": (
        lambda f: f.variations.append(f.variations[0]),
        {"variations[2].id"},
    ),
    "no variation id": (
        lambda f: f.variations.add(value=value_pb2.Value(bool_value=True)),
        {"variations[2].id"},
    ),
    "no value": (lambda f: f.variations.add(id="x"), {"variations[2].value"}),
    "another kind": (
        lambda f: f.variations.add(id="x", value=value_pb2.Value(string_value="x")),
        {"variations[2].value"},
    ),
    "too many variations": (
        lambda f: [
            f.variations.add(id=str(n), value=value_pb2.Value(bool_value=True)) for n in range(99)
        ],
        {"variations"},
    ),
    "weights below": (lambda f: shares(f, 99_999), {"fallthrough.shares"}),
    "weights above": (lambda f: shares(f, 99_999, 2), {"fallthrough.shares"}),
    "no shares": (shares, {"fallthrough.shares"}),
    "negative weight": (
        lambda f: shares(f, 100_001, -1),
        {"fallthrough.shares[0].weight", "fallthrough.shares[1].weight"},
    ),
    "experiment share": (
        lambda f: setattr(f.fallthrough.shares[0], "experiment_share", 100_001),
        {"fallthrough.shares[0].experiment_share"},
    ),
    "share of nothing": (
        lambda f: setattr(f.fallthrough.shares[0], "variation_id", "gone"),
        {"fallthrough.shares[0].variation_id"},
    ),
    "dispatch attribute": (
        lambda f: setattr(f.fallthrough, "dispatch_attribute", "a" * 129),
        {"fallthrough.dispatch_attribute"},
    ),
    "target of nothing": (
        lambda f: f.targets.add(variation_id="gone", keys=["u"]),
        {"targets[0].variation_id"},
    ),
    "target's keys": (
        lambda f: f.targets.add(variation_id="on", keys=["u", "", "u", "x" * 513]),
        {"targets[0].keys[1]", "targets[0].keys[2]", "targets[0].keys[3]"},
    ),
    "too many targets": (
        lambda f: [f.targets.add(variation_id="on") for _ in range(101)],
        {"targets"},
    ),
    "too many keys": (
        lambda f: [
            f.targets.add(variation_id=each, keys=map(str, range(50_001))) for each in ("on", "off")
        ],
        {"targets"},
    ),
    "same rule": (
        lambda f: [f.rules.add(id="r", rollout=rollout("on")) for _ in range(2)],
        {"rules[1].id"},
    ),
    "rule without rollout": (lambda f: f.rules.add(), {"rules[0].rollout"}),
    "too many rules": (
        lambda f: [f.rules.add(rollout=rollout("on")) for _ in range(201)],
        {"rules"},
    ),
    "own prerequisite": (
        lambda f: f.prerequisites.add(flag_key="f", variation_id="on"),
        {"prerequisites[0].flag_key"},
    ),
    "prerequisite": (
        lambda f: f.prerequisites.add(),
        {"prerequisites[0].flag_key", "prerequisites[0].variation_id"},
    ),
}


@pytest.mark.parametrize("flaw", FLAW)
def test_a_flaw_of_a_flag_is_named_with_its_path(flaw: str) -> None:
    edit, paths = FLAW[flaw]
    resource = resource_of("f")
    assert not flag_faults(resource)
    edit(resource.flag)
    assert set(flag_faults(resource)) == {f"resource.flag.{path}" for path in paths}


@pytest.mark.parametrize(
    ("operator", "values", "path"),
    [
        (Op.OPERATOR_UNSPECIFIED, ["x"], "operator"),
        (99, ["x"], "operator"),
        (Op.OPERATOR_EQUAL, [], "values"),
        (Op.OPERATOR_EQUAL, ["x" * 4_097], "values[0]"),
        (Op.OPERATOR_IS_TRUE, ["true"], "values"),
        (Op.OPERATOR_LESS_THAN, ["1", "ten"], "values[1]"),
        (Op.OPERATOR_GREATER_THAN, ["NaN"], "values[0]"),
        (Op.OPERATOR_SEMVER_EQUAL, ["one.two"], "values[0]"),
        (Op.OPERATOR_BEFORE, ["yesterday"], "values[0]"),
        (Op.OPERATOR_MATCHES, ["("], "values[0]"),
        (Op.OPERATOR_NOT_MATCHES, ["(?=x)"], "values[0]"),
        (Op.OPERATOR_IN_SEGMENT, ["id"], "attribute"),
    ],
)
def test_a_flaw_of_a_condition_is_named_with_its_path(
    operator: Any, values: list[str], path: str
) -> None:
    found = flag_faults(with_condition(operator, values))
    assert set(found) == {f"resource.flag.rules[0].conditions[0].{path}"}


@pytest.mark.parametrize(
    ("operator", "values"),
    [
        (Op.OPERATOR_EQUAL, [""]),
        (Op.OPERATOR_IS_FALSE, []),
        (Op.OPERATOR_LESS_THAN, [" -1.5e3 "]),
        (Op.OPERATOR_SEMVER_LESS_THAN, ["v2"]),
        (Op.OPERATOR_AFTER, ["2026-01-01T00:00:00Z", "1767225600000"]),
        (Op.OPERATOR_MATCHES, ["^a+$"]),
    ],
)
def test_good_conditions_are_accepted(operator: Any, values: list[str]) -> None:
    assert not flag_faults(with_condition(operator, values))


def test_a_segment_operator_needs_an_id() -> None:
    found = flag_faults(with_condition(Op.OPERATOR_IN_SEGMENT, [], attribute=""))
    assert set(found) == {"resource.flag.rules[0].conditions[0].values"}


@pytest.mark.parametrize(
    "text", ["{", "NaN", "[1,]", "[" * 66 + "1" + "]" * 66, "[" * 30_000, '"' + "x" * 65_536 + '"']
)
def test_bad_json_is_refused(text: str) -> None:
    found = flag_faults(with_value(value_pb2.VALUE_TYPE_JSON, value_pb2.Value(json_value=text)))
    assert set(found) == {"resource.flag.variations[0].value.json_value"}


@pytest.mark.parametrize("text", ["null", '{"a": [1, 2.5e3]}', "9" * 5_000, "[" * 64 + "]" * 64])
def test_good_json_is_accepted(text: str) -> None:
    value = value_pb2.Value(json_value=text)
    assert not flag_faults(with_value(value_pb2.VALUE_TYPE_JSON, value))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    value = value_pb2.Value(number_value=number)
    found = flag_faults(with_value(value_pb2.VALUE_TYPE_NUMBER, value))
    assert set(found) == {"resource.flag.variations[0].value.number_value"}


def test_names_and_tags_have_limits() -> None:
    resource = resource_of("f")
    resource.display_name = ""
    resource.description = "d" * 4_097
    resource.tags.extend(["t", "t", "x" * 65, "a\tb"])
    assert set(flag_faults(resource)) == {
        "resource.display_name",
        "resource.description",
        "resource.tags[1]",
        "resource.tags[2]",
        "resource.tags[3]",
    }


def test_an_item_has_at_most_four_mebibytes() -> None:
    keys = [f"{number:06d}" + "x" * 60 for number in range(70_000)]
    flag = boolean_flag("f", targets=[flag_pb2.Target(variation_id="on", keys=keys)])
    resource = flag_service_pb2.FlagResource(flag=flag, display_name="F")
    assert flag.ByteSize() > rule_of(resource.DESCRIPTOR, "flag").max_bytes
    assert set(flag_faults(resource)) == {"resource.flag"}


def test_flaws_of_a_segment_are_named_with_their_paths() -> None:
    resource = segment_resource("no spaces", id="x" * 65, included=[""], excluded=["y" * 513])
    resource.segment.rules.add(id="r").conditions.add(attribute="a\x00", values=["x"])
    resource.segment.rules.add(id="r")
    paths = ("key", "id", "included[0]", "excluded[0]", "rules[0].conditions[0].attribute")
    more = ("rules[0].conditions[0].operator", "rules[1].id")
    assert set(segment_faults(resource)) == {f"resource.segment.{path}" for path in paths + more}


def test_a_message_quotes_only_what_is_short_and_printable() -> None:
    assert quoted("x" * 1_000) == f"'{'x' * 64}…'"
    assert quoted("a\nb") == "'a\\nb'"
