from __future__ import annotations

import asyncio

from featmesh.engine.model import (
    Condition,
    Prerequisite,
    Rollout,
    Rule,
    SegmentRule,
    Share,
    Target,
    Variation,
)
from tests.integration.evaluation.conftest import Operator
from tests.integration.storage.records import delete, flag, segment
from tests.support.evaluation import EvaluationClient

OFF = Rollout((Share("off", 100_000),))


def for_segment(segment_id: str) -> tuple[Rule, ...]:
    return (Rule("r", "", (Condition("", "IN_SEGMENT", (segment_id,)),), OFF),)


async def test_a_first_stream_carries_every_live_flag(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("on"), flag("off", enabled=False), flag("old", archived=True))
    changes = await client_sdk.results("ada").change()
    assert changes.full
    served = {each.flag_key: (each.value, each.reason.value) for each in changes.results}
    assert served == {"on": (True, "FALLTHROUGH"), "off": (False, "OFF")}


async def test_only_results_that_differ_are_sent(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("a"), flag("b"), flag("c"))
    stream = client_sdk.results("ada")
    await stream.change()
    await operator.update("a", enabled=False)
    changes = await stream.change()
    assert [(each.flag_key, each.value) for each in changes.results] == [("a", False)]
    assert not changes.full


async def test_a_change_that_alters_no_result_sends_nothing(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("a"), flag("b"))
    stream = client_sdk.results("ada")
    await stream.change()
    await operator.update(
        "a", variations=(Variation("on", "Yes", True), Variation("off", "", False))
    )
    await operator.create(segment("s-1", "unused"))
    committed = await operator.update("b", enabled=False)
    changes = await stream.change()
    while changes.revision < committed.revision:
        changes = await stream.change()
    assert len(stream.revisions) == 2
    assert [each.flag_key for each in changes.results] == ["b"]


async def test_a_deleted_and_an_archived_flag_are_told_as_absent(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("deleted"), flag("archived"), flag("kept"))
    stream = client_sdk.results("ada")
    await stream.change()
    await operator.delete("deleted")
    committed = await operator.update("archived", archived=True)
    absent: list[str] = []
    while stream.revisions[-1] < committed.revision:
        absent += (await stream.change()).absent_flag_keys
    assert sorted(absent) == ["archived", "deleted"]
    assert set(stream.results) == {"kept"}
    await operator.update("archived", archived=False)
    assert [each.flag_key for each in (await stream.change()).results] == ["archived"]


async def test_an_edited_segment_changes_the_results_of_its_users_only(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(
        segment("s-1", "vip", included=("ada",)), flag("a", rules=for_segment("s-1")), flag("b")
    )
    bob, grace = client_sdk.results("bob"), client_sdk.results("grace")
    await asyncio.gather(bob.change(), grace.change())
    await operator.update_segment("vip", included=("ada", "bob"))
    changes = await bob.change()
    assert [(each.flag_key, each.value) for each in changes.results] == [("a", False)]
    await operator.update("b", enabled=False)
    changes = await grace.change()
    assert [each.flag_key for each in changes.results] == ["b"]
    assert grace.results["a"].value is True


async def test_a_change_of_a_prerequisite_reaches_the_flags_that_depend_on_it(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(
        flag("base"),
        flag("middle", prerequisites=(Prerequisite("base", "on"),)),
        flag("top", prerequisites=(Prerequisite("middle", "on"),)),
        flag("other"),
    )
    stream = client_sdk.results("ada")
    await stream.change()
    await operator.update("base", enabled=False)
    changes = await stream.change()
    assert {each.flag_key for each in changes.results} == {"base", "middle", "top"}
    assert stream.results["top"].value is False
    assert stream.results["top"].prerequisite_key == ""


async def test_a_client_that_was_away_resumes_with_the_difference(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("same"), flag("changed"), flag("deleted"), flag("archived"))
    first = client_sdk.results("ada")
    held = await first.change()
    first.close()
    await operator.update("changed", enabled=False)
    await operator.delete("deleted")
    committed = await operator.update("archived", archived=True)
    second = client_sdk.results("ada", await operator.token(held.revision))
    changed: set[str] = set()
    absent: set[str] = set()
    while not second.revisions or second.revisions[-1] < committed.revision:
        changes = await second.change()
        assert not changes.full
        changed |= {each.flag_key for each in changes.results}
        absent |= set(changes.absent_flag_keys)
    assert (changed, absent) == ({"changed"}, {"deleted", "archived"})
    await operator.update("same", enabled=False)
    assert [each.flag_key for each in (await second.change()).results] == ["same"]


async def test_a_client_that_is_current_gets_an_empty_patch_at_once(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    committed = await operator.create(flag("a"))
    changes = await client_sdk.results("ada", await operator.token(committed.revision)).change()
    assert (changes.full, changes.revision, changes.results) == (False, committed.revision, ())


async def test_a_malformed_flag_is_an_error_of_its_own_and_of_no_other(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    nowhere = Rollout((Share("nowhere", 100_000),))
    await operator.create(flag("broken", fallthrough=nowhere), flag("good"))
    stream = client_sdk.results("ada")
    await stream.change()
    assert stream.results["good"].value is True
    assert stream.results["broken"].error_kind == "MALFORMED_FLAG"
    await operator.update("broken", fallthrough=OFF)
    changes = await stream.change()
    assert [(each.flag_key, each.value) for each in changes.results] == [("broken", False)]


async def test_a_segment_in_a_segment_reaches_those_whose_membership_it_alters(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    inner = Condition("", "IN_SEGMENT", ("inner",))
    await operator.create(
        segment("inner", "inner", included=("ada",)),
        segment("outer", "outer", included=(), rules=(SegmentRule("r", "", (inner,)),)),
        flag("a", rules=for_segment("outer")),
        flag("b", prerequisites=(Prerequisite("a", "off"),)),
        flag("last"),
    )
    ada, bob = client_sdk.results("ada"), client_sdk.results("bob")
    for stream in (ada, bob):
        await stream.change()
    for edit in ({"archived": True}, {"archived": False}, {"excluded": ("ada",)}):
        await operator.update_segment("inner", **edit)
        changes = await ada.change()
        assert {each.flag_key for each in changes.results} == {"a", "b"}
    await operator.update("last", enabled=False)
    changes = await bob.change()
    assert [each.flag_key for each in changes.results] == ["last"]
    assert len(bob.revisions) == 2


async def test_a_segment_that_is_deleted_and_made_anew_takes_its_members_along(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(segment("s-1", "vip"), flag("a", rules=for_segment("s-1")))
    ada = client_sdk.results("ada")
    await ada.change()
    assert ada.results["a"].value is False
    await operator.commit(delete(await operator.segment("vip")))
    assert [(each.flag_key, each.value) for each in (await ada.change()).results] == [("a", True)]
    await operator.create(segment("s-1", "vip"))
    assert [(each.flag_key, each.value) for each in (await ada.change()).results] == [("a", False)]


async def test_a_flag_that_comes_back_is_sent_again(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    await operator.create(flag("a"))
    ada = client_sdk.results("ada")
    await ada.change()
    await operator.delete("a")
    assert (await ada.change()).absent_flag_keys == ("a",)
    await operator.create(flag("a"))
    assert [(each.flag_key, each.value) for each in (await ada.change()).results] == [("a", True)]


async def test_an_experiment_that_takes_in_its_targets_reaches_them_alone(
    client_sdk: EvaluationClient, operator: Operator
) -> None:
    outside = Rollout((Share("on", 100_000, 0),), in_experiment=True)
    await operator.create(
        flag("a", targets=(Target("on", ("ada",)),), fallthrough=OFF, rules=()),
        flag("b", targets=(Target("on", ("ada",)),), fallthrough=outside),
        flag("last"),
    )
    ada, bob = client_sdk.results("ada"), client_sdk.results("bob")
    for stream in (ada, bob):
        await stream.change()
    before = dict(ada.results)
    await operator.update("a", targets=(Target("on", ("ada", "eve")),))
    await operator.update("last", enabled=False)
    for stream in (ada, bob):
        assert [each.flag_key for each in (await stream.change()).results] == ["last"]
    await operator.update("b", include_all_targets=True)
    changes = await ada.change()
    assert [(each.flag_key, each.in_experiment) for each in changes.results] == [("b", True)]
    assert before["b"].in_experiment is False
