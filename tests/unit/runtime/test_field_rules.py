from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from featmesh.evaluation.v1 import evaluation_pb2
from featmesh.flag.v1 import condition_pb2, flag_pb2, rollout_pb2, segment_pb2, value_pb2
from featmesh.insights.v1 import insights_pb2
from featmesh.management.v1 import (
    end_user_service_pb2,
    flag_service_pb2,
    organization_service_pb2,
    page_pb2,
    report_service_pb2,
)
from services.runtime.errors import InvalidArgument
from services.runtime.field_rules import check_message, rule_of
from services.runtime.violations import Violations


def complaints(message: Any) -> dict[str, str]:
    violations = Violations()
    check_message(violations, "", message)
    try:
        violations.finish()
    except InvalidArgument as error:
        return {each.field: each.description for each in error.violations}
    return {}


def flag(change: Callable[[flag_pb2.Flag], None] = lambda flag: None) -> flag_pb2.Flag:
    made = flag_pb2.Flag(
        key="f",
        value_type=value_pb2.VALUE_TYPE_BOOLEAN,
        variations=[flag_pb2.Variation(id="on", value=value_pb2.Value(bool_value=True))],
        off_variation_id="on",
        fallthrough=rollout_pb2.Rollout(
            shares=[rollout_pb2.Share(variation_id="on", weight=100_000)]
        ),
    )
    change(made)
    return made


def test_a_good_message_is_let_through() -> None:
    assert complaints(flag()) == {}
    assert complaints(page_pb2.PageRequest()) == {}


@pytest.mark.parametrize(
    ("change", "path", "text"),
    [
        (lambda f: setattr(f, "key", ""), "key", "is required"),
        (lambda f: setattr(f, "key", "a b"), "key", "must match"),
        (lambda f: setattr(f, "value_type", 0), "value_type", "is required"),
        (lambda f: setattr(f, "value_type", 9), "value_type", "is 9, which is unknown"),
        (lambda f: setattr(f, "salt", "é" * 65), "salt", "has 130 bytes; the limit is 128"),
        (lambda f: setattr(f, "salt", "a\nb"), "salt", "control character"),
        (lambda f: f.ClearField("variations"), "variations", "is required"),
        (lambda f: f.ClearField("fallthrough"), "fallthrough", "is required"),
        (lambda f: f.variations.extend(101 * [f.variations[0]]), "variations", "limit is 100"),
        (lambda f: f.variations[0].ClearField("value"), "variations[0].value", "is required"),
        (
            lambda f: setattr(f.fallthrough.shares[0], "weight", 100_001),
            "fallthrough.shares[0].weight",
            "must be from 0 to 100000",
        ),
        (
            lambda f: setattr(f.fallthrough.shares[0], "weight", -1),
            "fallthrough.shares[0].weight",
            "must be from 0 to 100000",
        ),
        (
            lambda f: f.targets.add(variation_id="on").keys.extend(["a", ""]),
            "targets[0].keys[1]",
            "is required",
        ),
        (
            lambda f: f.targets.add(variation_id="on").keys.extend(["a" * 513]),
            "targets[0].keys[0]",
            "has 513 bytes; the limit is 512",
        ),
        (
            lambda f: f.rules.add(rollout=f.fallthrough).conditions.add(operator=99),
            "rules[0].conditions[0].operator",
            "is 99, which is unknown",
        ),
    ],
)
def test_a_broken_rule_is_told_with_its_path_and_the_limit(
    change: Callable[[Any], None], path: str, text: str
) -> None:
    found = complaints(flag(change))
    assert list(found) == [path]
    assert text in found[path]


def test_all_faults_are_told_at_once() -> None:
    broken = flag_pb2.Flag(key="a b", salt="s" * 129)
    expected = {"key", "value_type", "variations", "salt", "off_variation_id", "fallthrough"}
    assert set(complaints(broken)) == expected


def test_what_the_server_sets_is_not_looked_at() -> None:
    sent = flag_service_pb2.FlagResource(
        name="no name at all",
        display_name="F",
        flag=flag(),
        counts=flag_service_pb2.FlagCounts(rules=-1),
    )
    sent.meta.created_at.seconds = 10**15
    assert complaints(sent) == {}


def test_a_message_has_a_size_and_what_is_too_large_is_not_looked_into() -> None:
    keys = ["k" * 500] * 9_000
    huge = flag(lambda f: f.targets.add(variation_id="on").keys.extend(keys))
    request = flag_service_pb2.FlagResource(display_name="F", flag=huge)
    (path,) = found = complaints(request)
    assert path == "flag"
    assert "the limit is 4194304" in found[path]


def test_numbers_are_finite_and_times_are_times() -> None:
    value = value_pb2.Value(number_value=math.nan)
    assert complaints(value) == {"number_value": "is not finite"}
    request = report_service_pb2.QueryUsageRequest(
        parent="p",
        interval=report_service_pb2.INTERVAL_DAY,
        start_time=Timestamp(seconds=1),
        end_time=Timestamp(seconds=10**15),
    )
    assert complaints(request) == {"end_time": "is no time from the year 1 to 9999"}


def test_a_map_has_a_size_and_bounds_on_names() -> None:
    context = evaluation_pb2.Context(key="anna")
    context.attributes["n" * 129].string_value = "x"
    context.attributes[""].list_value.values.extend(["v" * 4_097])
    found = complaints(context)
    assert len(found) == 3
    assert any("(its name)" in path for path in found)
    assert any(path.endswith("list_value.values[0]") for path in found)
    for number in range(201):
        context.attributes[str(number)].bool_value = True
    assert complaints(context) == {"attributes": "has 203 entries; the limit is 200"}


def test_violations_of_one_list_are_bounded() -> None:
    segment = segment_pb2.Segment(key="s", included=[""] * 100_000)
    assert 1_000 <= len(complaints(segment)) <= 1_002


def test_rules_can_be_read_by_anyone() -> None:
    assert rule_of(condition_pb2.Condition.DESCRIPTOR, "values").max_count == 10_000
    assert rule_of(insights_pb2.TrackRequest.DESCRIPTOR, "evaluations").max_count == 10_000
    rule = rule_of(organization_service_pb2.Organization.DESCRIPTOR, "display_name")
    assert (rule.required, rule.max_bytes) == (True, 256)
    assert not rule_of(end_user_service_pb2.EndUser.DESCRIPTOR, "context").required
