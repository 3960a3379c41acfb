"""Flags that contradict themselves: whom they harm and whom they do not."""

# ruff: noqa: E501  # a row of a table is one line
from __future__ import annotations

from sdks.conformance.authoring.suite import (
    Json,
    Suite,
    condition,
    context,
    failed,
    flag,
    rollout,
    rule,
    serve,
    served,
)

PRO = condition("EQUAL", "pro", attribute="plan")
YES = {"id": "yes", "value": {"string_value": "yes"}}
NO = {"id": "no", "value": {"string_value": "no"}}
NUMBER_ZERO = {"id": "zero", "value": {"number_value": 0}}


def malformed() -> Suite:
    """Unknown variations, values of other types, odd rollouts, unknown operators."""
    suite = Suite("malformed", "Malformed flags and operators of the future")
    _unusable(suite)
    _scope(suite)
    _rollouts(suite)
    _operators(suite)
    return suite


def _unusable(suite: Suite) -> None:
    def valued(key: str, value_type: str | int | None, value: Json | None) -> Json:
        variation = {"id": "only"} | ({} if value is None else {"value": value})
        return flag(key, "only", value_type=value_type, variations=[variation])

    cases = {
        "fallthrough-unknown": ("The fallthrough names an unknown variation.",
            flag("fallthrough-unknown", fallthrough=serve("gone"))),
        "fallthrough-empty": ("The fallthrough has no shares.",
            flag("fallthrough-empty", fallthrough={})),
        "fallthrough-unset": ("There is no fallthrough.",
            flag("fallthrough-unset", fallthrough=None)),
        "fallthrough-case": ("Case counts in variation ids.",
            flag("fallthrough-case", fallthrough=serve("YES"))),
        "fallthrough-no-id": ("No variation has the empty id.",
            flag("fallthrough-no-id", fallthrough=serve(""))),
        "no-variations": ("The flag has no variations.",
            flag("no-variations", variations=None)),
        "off-unknown": ("The off variation of a disabled flag is unknown.",
            flag("off-unknown", enabled=False, off_variation_id="gone")),
        "off-unset": ("A disabled flag names no off variation.",
            flag("off-unset", enabled=False, off_variation_id=None)),
        "prerequisite-off-unknown": ("The off variation after a failed prerequisite is unknown.",
            flag("prerequisite-off-unknown", off_variation_id="gone",
                 prerequisites=[{"flag_key": "nowhere", "variation_id": "yes"}])),
        "target-unknown": ("The target that holds the key names an unknown variation.",
            flag("target-unknown", targets=[{"variation_id": "gone", "keys": ["alice"]}])),
        "rule-unknown": ("The rule that holds names an unknown variation.",
            flag("rule-unknown", rules=[rule("r", "gone")])),
        "rule-empty": ("The rollout of the rule that holds has no shares.",
            flag("rule-empty", rules=[{"id": "r", "rollout": {}}])),
        "value-unset": ("The variation has no value.",
            valued("value-unset", "VALUE_TYPE_STRING", None)),
        "value-no-kind": ("The variation's value is of no kind.",
            valued("value-no-kind", "VALUE_TYPE_STRING", {})),
        "text-for-number": ("A flag of numbers has a text.",
            valued("text-for-number", "VALUE_TYPE_NUMBER", {"string_value": "1"})),
        "number-for-text": ("A flag of texts has a number.",
            valued("number-for-text", "VALUE_TYPE_STRING", {"number_value": 1})),
        "number-for-boolean": ("A flag of booleans has a number.",
            valued("number-for-boolean", "VALUE_TYPE_BOOLEAN", {"number_value": 1})),
        "boolean-for-number": ("A flag of numbers has a boolean.",
            valued("boolean-for-number", "VALUE_TYPE_NUMBER", {"bool_value": True})),
        "json-for-text": ("A flag of texts has JSON.",
            valued("json-for-text", "VALUE_TYPE_STRING", {"json_value": "{}"})),
        "text-for-json": ("A flag of JSON has a text.",
            valued("text-for-json", "VALUE_TYPE_JSON", {"string_value": "{}"})),
        "nan": ("NaN is no value.",
            valued("nan", "VALUE_TYPE_NUMBER", {"number_value": "NaN"})),
        "infinity": ("Infinity is no value.",
            valued("infinity", "VALUE_TYPE_NUMBER", {"number_value": "-Infinity"})),
        "no-type": ("The flag has no value type.",
            valued("no-type", None, {"string_value": "x"})),
        "future-type": ("The flag's value type is of the future.",
            valued("future-type", 99, {"string_value": "x"})),
    }  # fmt: skip
    for case_id, (says, subject) in cases.items():
        suite.add(subject)
        expected = failed("MALFORMED_FLAG")
        suite.case(case_id, says, "evaluation 3.1", subject["key"], context(), expected)


def _scope(suite: Suite) -> None:
    suite.add(
        flag("off-unknown-on", off_variation_id="gone"),
        flag("target-unknown-first", targets=[
            {"variation_id": "gone", "keys": ["bob"]}, {"variation_id": "yes", "keys": ["bob"]}]),
        flag("rule-unknown-pro", rules=[rule("r", "gone", PRO)]),
        flag("rule-then-unknown", fallthrough=serve("gone"), rules=[rule("r", "yes", PRO)]),
        flag("one-bad-value", variations=[YES, NO, NUMBER_ZERO]),
        flag("duplicate-ids", variations=[YES, NO, {"id": "no", "value": {"string_value": "2"}}]),
        flag("usable-duplicate", variations=[{"id": "no"}, YES, NO]),
        flag("sound"),
    )  # fmt: skip
    bob, pro = context("bob"), context(plan="pro")
    bad = failed("MALFORMED_FLAG")
    no = served("no", "FALLTHROUGH")
    for case_id, says, key, whom, expected in [
        ("unserved-off", "An off variation that is not served harms nobody.", "off-unknown-on", bob, no),
        ("targeted", "The first list that holds the key decides.", "target-unknown-first", bob, bad),
        ("untargeted", "Another key's target harms nobody else.", "target-unknown-first", context(), no),
        ("ruled", "The rule holds, so its unknown variation would be served.", "rule-unknown-pro", pro, bad),
        ("unruled", "A rule that does not hold harms nobody.", "rule-unknown-pro", bob, no),
        ("ruled-before", "A sound rule before a malformed fallthrough serves.", "rule-then-unknown", pro,
         served("yes", "RULE_MATCH", rule="r")),
        ("unruled-after", "Others reach the malformed fallthrough.", "rule-then-unknown", bob, bad),
        ("unserved-value", "A value of another type that is not served harms nobody.", "one-bad-value", bob, no),
        ("duplicate-ids", "Of two variations with one id the first counts.", "duplicate-ids", bob, no),
        ("usable-duplicate", "Of two variations with one id the first usable one counts.",
         "usable-duplicate", bob, no),
        ("other-flag", "Malformed flags harm no other flag.", "sound", bob, no),
    ]:  # fmt: skip
        suite.case(f"scope/{case_id}", says, "evaluation 3.2", key, whom, expected)


def _rollouts(suite: Suite) -> None:
    spreads = {
        "half-unknown": rollout(("yes", 50_000), ("gone", 50_000)),
        "unknown-without-weight": rollout(("yes", 100_000), ("gone", 0)),
        "unknown-first": rollout(("gone", 0), ("yes", 100_000)),
        "unusable-share": rollout(("yes", 100_000), ("zero", 0)),
    }
    for key, spread in spreads.items():
        suite.add(
            flag(key, fallthrough=spread, variations=[YES, NO, NUMBER_ZERO]),
            flag(
                f"rule-{key}",
                variations=[YES, NO, NUMBER_ZERO],
                rules=[{"id": "r", "conditions": [PRO], "rollout": spread}],
            ),
        )
    bad = failed("MALFORMED_FLAG")
    clause = "evaluation 3.3"
    for key in ("alice", "bob", "carol", "dave"):
        says = "A rollout with an unknown variation is malformed for all whom it would serve."
        suite.case(f"rollout/half/{key}", says, clause, "half-unknown", context(key), bad)
    for case_id, says in {
        "unknown-without-weight": "An unknown variation with a weight of 0 is malformed, too.",
        "unknown-first": "An unknown variation in front is malformed, too.",
        "unusable-share": "A share whose variation has a value of another type is malformed.",
    }.items():
        suite.case(f"rollout/{case_id}", says, clause, case_id, context(), bad)
    for key in spreads:
        says = "A rule with a malformed rollout"
        pro = context(plan="pro")
        suite.case(
            f"rollout/rule/{key}", f"{says} harms those it serves.", clause, f"rule-{key}", pro, bad
        )
        no = served("no", "FALLTHROUGH")
        suite.case(
            f"rollout/else/{key}",
            f"{says} harms nobody else.",
            clause,
            f"rule-{key}",
            context(),
            no,
        )


def _operators(suite: Suite) -> None:
    clause = "evaluation 4.12"
    for operator, says in {
        0: "An operator that is not set never holds",
        26: "The operator after the last known one never holds",
        99: "An unknown operator never holds",
        2_147_483_647: "The largest number is no operator",
        -1: "A negative number is no operator",
    }.items():
        for name, values in {"x": ("x",), "none": ()}.items():
            unknown = condition(operator, *values)
            suite.holds(f"operator/{operator}/{name}", says, clause, unknown, context(a="x"), False)
    unknown = condition(99, "x", attribute="plan")
    suite.add(
        flag("unknown-and-known", rules=[rule("r", "yes", PRO, unknown)]),
        flag("unknown-then-known", rules=[rule("u", "no", unknown), rule("r", "yes", PRO)]),
        flag("unknown-for-others", rules=[rule("u", "yes", unknown)]),
    )
    pro, no = context(plan="pro"), served("no", "FALLTHROUGH")
    by_rule = served("yes", "RULE_MATCH", rule="r")
    for case_id, says, key, expected in [
        ("and", "A rule with an unknown operator never holds.", "unknown-and-known", no),
        ("next", "The next rule is looked at.", "unknown-then-known", by_rule),
        ("fallthrough", "An unknown operator is no error.", "unknown-for-others", no),
    ]:
        suite.case(f"operator/{case_id}", says, clause, key, pro, expected)
