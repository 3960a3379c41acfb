"""The order of evaluation.md: which step answers, and with what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from featmesh.engine import (
    Condition,
    Context,
    ErrorKind,
    Flag,
    Prerequisite,
    Reason,
    Result,
    Rollout,
    Rule,
    Share,
    Snapshot,
    Target,
    ValueType,
    Variation,
    evaluate,
    evaluate_all,
)

ON, OFF = "on-id", "off-id"
ALICE = Context("alice", attributes={"country": "fr"})


def only(variation_id: str) -> Rollout:
    return Rollout((Share(variation_id, 100_000),))


def flag(key: str = "f", **changes: object) -> Flag:
    base = Flag(
        key=key,
        value_type=ValueType.BOOLEAN,
        variations=(Variation(ON, "On", True), Variation(OFF, "Off", False)),
        off_variation_id=OFF,
        fallthrough=only(ON),
        enabled=True,
        revision=7,
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # names are checked by replace


def answer(*flags: Flag, key: str = "f", context: Context = ALICE) -> Result:
    return evaluate(Snapshot.build(1, flags, ()), key, context, 0)


FRENCH = Rule("r1", "French", (Condition("country", "EQUAL", ("fr",)),), only(OFF))
EVERYBODY = Rule("r2", "Everybody", (), only(OFF))


def test_an_unknown_flag_is_not_found() -> None:
    result = answer(key="nope")
    assert (result.value, result.reason) == (None, Reason.ERROR)
    assert result.error_kind is ErrorKind.FLAG_NOT_FOUND
    assert result.flag_key == "nope"


def test_an_archived_flag_is_not_found_even_when_disabled() -> None:
    result = answer(flag(archived=True, enabled=False))
    assert result.error_kind is ErrorKind.FLAG_NOT_FOUND


def test_a_disabled_flag_serves_its_off_variation_before_all_else() -> None:
    result = answer(
        flag(
            enabled=False,
            prerequisites=(Prerequisite("missing", ON),),
            targets=(Target(ON, ("alice",)),),
        )
    )
    assert (result.value, result.variation_id, result.reason) == (False, OFF, Reason.OFF)
    assert result.flag_revision == 7
    assert result.value_type is ValueType.BOOLEAN


def test_the_first_prerequisite_that_fails_is_named() -> None:
    needs = (Prerequisite("good", ON), Prerequisite("bad", OFF), Prerequisite("missing", ON))
    result = answer(flag(prerequisites=needs), flag("good"), flag("bad"))
    assert (result.variation_id, result.reason) == (OFF, Reason.PREREQUISITE_FAILED)
    assert result.prerequisite_key == "bad"


@pytest.mark.parametrize(
    "required",
    [
        pytest.param(flag("p", enabled=False), id="disabled, though off serves what is asked"),
        pytest.param(flag("p", archived=True), id="archived"),
        pytest.param(flag("p", fallthrough=only("gone")), id="malformed"),
        pytest.param(flag("q"), id="unknown"),
    ],
)
def test_a_prerequisite_fails_when_its_flag_is(required: Flag) -> None:
    result = answer(flag(prerequisites=(Prerequisite("p", OFF),)), required)
    assert result.reason is Reason.PREREQUISITE_FAILED


def test_a_flag_goes_on_when_its_prerequisites_hold() -> None:
    result = answer(flag(prerequisites=(Prerequisite("p", ON),)), flag("p"))
    assert (result.variation_id, result.reason) == (ON, Reason.FALLTHROUGH)


@pytest.mark.parametrize("key", ["a", "b", "self"])
def test_a_flag_on_a_cycle_of_prerequisites_is_malformed(key: str) -> None:
    flags = (
        flag("a", prerequisites=(Prerequisite("b", ON),)),
        flag("b", prerequisites=(Prerequisite("a", ON),)),
        flag("self", prerequisites=(Prerequisite("self", ON),)),
    )
    assert answer(*flags, key=key).error_kind is ErrorKind.MALFORMED_FLAG


def test_a_flag_that_only_depends_on_a_cycle_has_a_failed_prerequisite() -> None:
    cycle = flag("a", prerequisites=(Prerequisite("a", ON),))
    result = answer(cycle, flag(prerequisites=(Prerequisite("a", ON),)))
    assert (result.reason, result.prerequisite_key) == (Reason.PREREQUISITE_FAILED, "a")


def test_a_target_comes_before_rules_and_the_first_list_wins() -> None:
    targets = (Target(ON, ("bob", "alice")), Target(OFF, ("alice",)))
    result = answer(flag(targets=targets, rules=(EVERYBODY,)))
    assert (result.variation_id, result.reason) == (ON, Reason.TARGET_MATCH)


def test_the_first_rule_that_holds_serves_its_rollout() -> None:
    german = Rule("r0", "German", (Condition("country", "EQUAL", ("de",)),), only(ON))
    result = answer(flag(rules=(german, FRENCH, EVERYBODY)))
    assert (result.variation_id, result.reason) == (OFF, Reason.RULE_MATCH)
    assert (result.rule_id, result.rule_name) == ("r1", "French")


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_rule_holds_when_all_of_its_conditions_do(count: int) -> None:
    good = (Condition("country", "EQUAL", ("fr",)),) * count
    bad = Condition("country", "EQUAL", ("de",))
    assert answer(flag(rules=(replace(FRENCH, conditions=good),))).reason is Reason.RULE_MATCH
    spoilt = flag(rules=(replace(FRENCH, conditions=(*good, bad)),))
    assert answer(spoilt).reason is Reason.FALLTHROUGH


@pytest.mark.parametrize(
    "malformed",
    [
        flag(fallthrough=only("gone")),
        flag(fallthrough=Rollout(())),
        flag(enabled=False, off_variation_id="gone"),
        flag(targets=(Target("gone", ("alice",)),)),
        flag(rules=(replace(EVERYBODY, rollout=only("gone")),)),
        flag(prerequisites=(Prerequisite("missing", ON),), off_variation_id=""),
        flag(value_type=ValueType.NUMBER),
        flag(variations=()),
    ],
)
def test_serving_an_unknown_or_unusable_variation_is_malformed(malformed: Flag) -> None:
    result = answer(malformed, flag("other"))
    assert (result.value, result.error_kind) == (None, ErrorKind.MALFORMED_FLAG)
    assert answer(malformed, flag("other"), key="other").value is True


def test_a_malformed_part_does_not_harm_those_who_are_not_served_by_it() -> None:
    sound = flag(off_variation_id="gone", targets=(Target("gone", ("bob",)),))
    assert answer(sound).value is True
    assert answer(sound, context=Context("bob")).error_kind is ErrorKind.MALFORMED_FLAG


@pytest.mark.parametrize("key", ["", "x" * 513, "é" * 257, "\ud800", None, 7, b"bytes"])
def test_a_context_key_beyond_its_limits_is_invalid(key: object) -> None:
    context = Context(key)  # type: ignore[arg-type]  # what a caller may hand over
    assert answer(flag(), context=context).error_kind is ErrorKind.INVALID_CONTEXT
    snapshot = Snapshot.build(1, [flag()], ())
    assert evaluate_all(snapshot, context, 0)["f"].error_kind is ErrorKind.INVALID_CONTEXT


@pytest.mark.parametrize("key", ["x" * 512, "é" * 256, "\x00", "漢字"])
def test_a_context_key_within_its_limits_is_taken(key: str) -> None:
    assert answer(flag(), context=Context(key)).error_kind is None


@pytest.mark.parametrize("context", [None, "alice", {"key": "alice"}, object()])
def test_what_is_no_context_is_an_invalid_one(context: object) -> None:
    result = answer(flag(), context=context)  # type: ignore[arg-type]  # a caller's mistake
    assert result.error_kind is ErrorKind.INVALID_CONTEXT


def test_a_fault_of_one_flag_is_a_general_error_of_that_flag_alone() -> None:
    context = Context("alice", attributes=None)  # type: ignore[arg-type]  # breaks reading it
    snapshot = Snapshot.build(1, [flag(rules=(FRENCH,)), flag("other")], ())
    results = evaluate_all(snapshot, context, 0)
    assert results["f"].error_kind is ErrorKind.GENERAL
    assert results["other"].value is True
    assert evaluate(snapshot, "f", context, 0).error_kind is ErrorKind.GENERAL


def test_a_flag_that_cannot_be_compiled_is_a_general_error_and_a_fault() -> None:
    broken = flag(variations=None)
    snapshot = Snapshot.build(1, [broken, flag("other")], ())
    assert evaluate(snapshot, "f", ALICE, 0).error_kind is ErrorKind.GENERAL
    assert evaluate(snapshot, "other", ALICE, 0).value is True
    assert snapshot.faults == ("flag 'f': it cannot be compiled",)


@pytest.mark.parametrize("key", [["unhashable"], None, 3])
def test_a_flag_key_of_another_type_is_not_found(key: object) -> None:
    result = evaluate(Snapshot.build(1, [flag()], ()), key, ALICE, 0)  # type: ignore[arg-type]
    assert result.error_kind is ErrorKind.FLAG_NOT_FOUND


def test_all_live_flags_are_answered_in_the_order_of_their_keys() -> None:
    flags = [flag("b", prerequisites=(Prerequisite("c", ON),)), flag("a"), flag("c")]
    snapshot = Snapshot.build(1, [*flags, flag("d", archived=True)], ())
    results = evaluate_all(snapshot, ALICE, 0)
    assert list(results) == ["a", "b", "c"]
    assert all(results[key] == evaluate(snapshot, key, ALICE, 0) for key in results)


def test_a_chain_of_thousands_of_prerequisites_is_followed_to_its_end() -> None:
    chain = [flag(f"f{n}", prerequisites=(Prerequisite(f"f{n + 1}", ON),)) for n in range(5000)]
    snapshot = Snapshot.build(1, [*chain, flag("f5000")], ())
    assert evaluate(snapshot, "f0", ALICE, 0).value is True
    broken = snapshot.apply(2, flags=[flag("f5000", enabled=False)])
    assert evaluate(broken, "f0", ALICE, 0).reason is Reason.PREREQUISITE_FAILED


def test_prerequisites_that_fan_out_and_in_again_are_answered_once_each() -> None:
    """Without that, 40 levels of two would take 2^40 evaluations."""
    levels = [
        flag(
            f"{side}{n}",
            prerequisites=(Prerequisite(f"l{n + 1}", ON), Prerequisite(f"r{n + 1}", ON)),
        )
        for n in range(40)
        for side in "lr"
    ]
    snapshot = Snapshot.build(1, [*levels, flag("l40"), flag("r40")], ())
    assert evaluate(snapshot, "l0", ALICE, 0).value is True
