from __future__ import annotations

import pytest

from featmesh import Client, Context, ErrorKind, Reason, Status
from featmesh.engine import Condition, Flag, Rollout, Rule, Segment, Share, ValueType, Variation
from featmesh.testing import TestData

ADA, BOB = Context("ada"), Context("bob")


def test_a_flag_serves_what_the_test_set() -> None:
    data = TestData().set("on", True).set("text", "hi").set("number", 3).set("doc", {"a": [1]})
    with Client.for_testing(data) as client:
        assert client.status is Status.READY
        assert client.wait_until_ready(0)
        assert client.boolean_value("on", ADA, default=False)
        assert client.string_value("text", ADA, "") == "hi"
        assert client.number_value("number", ADA, 0) == 3
        assert client.json_value("doc", ADA, None) == {"a": [1]}
        assert client.boolean_detail("none", ADA, default=True).error_kind is (
            ErrorKind.FLAG_NOT_FOUND
        )


def test_a_user_is_served_a_value_of_its_own_until_the_flag_is_set_for_everybody() -> None:
    data = TestData().set("on", False).set_for("ada", "on", True)
    client = Client.for_testing(data)
    detail = client.boolean_detail("on", ADA, default=False)
    assert (detail.value, detail.reason, detail.variation_id) == (True, Reason.TARGET_MATCH, "true")
    assert not client.boolean_value("on", BOB, default=True)
    data.set("on", False)
    assert not client.boolean_value("on", ADA, default=True)


def test_every_client_hears_of_a_change_before_the_call_returns() -> None:
    data = TestData().set("on", False)
    first, second = Client.for_testing(data), Client.for_testing(data)
    heard: list[frozenset[str]] = []
    first.on_change(heard.append)
    data.set("on", True).set("other", 1).delete("other")
    assert heard == [{"on"}, {"other"}, {"other"}]
    assert second.boolean_value("on", ADA, default=False)
    first.close()
    data.set("on", False)
    assert first.boolean_value("on", ADA, default=False), "a closed client hears nothing"


def test_whole_definitions_bring_rules_and_segments() -> None:
    rule = Rule(
        "r", "Staff", (Condition("", "IN_SEGMENT", ("s",)),), Rollout((Share("v", 100_000),))
    )
    flag = Flag(
        key="staff-only",
        value_type=ValueType.BOOLEAN,
        variations=(Variation("v", "On", True), Variation("off", "Off", False)),
        off_variation_id="off",
        rules=(rule,),
        fallthrough=Rollout((Share("off", 100_000),)),
        enabled=True,
    )
    data = TestData().put(Segment("s", "staff", included=("ada",))).put(flag)
    client = Client.for_testing(data)
    assert client.boolean_value("staff-only", ADA, default=False)
    assert not client.boolean_value("staff-only", BOB, default=True)


def test_a_user_needs_a_flag_of_the_same_type() -> None:
    data = TestData().set("on", True)
    with pytest.raises(ValueError, match="set 'none' for everybody first"):
        data.set_for("ada", "none", True)
    with pytest.raises(ValueError, match="is of the type boolean"):
        data.set_for("ada", "on", "yes")
