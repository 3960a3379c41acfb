"""The order of evaluation, targets, rules and what a result says."""

# ruff: noqa: E501  # a row of a table is one line
from __future__ import annotations

from typing import Any

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
GERMAN = condition("EQUAL", "de", attribute="country")
ALICE_IN = {"variation_id": "a", "keys": ["alice"]}


def order() -> Suite:
    """Every step, and what comes before what."""
    suite = Suite("order", "The order of evaluation, targets, rules and results")
    _absent(suite)
    _disabled(suite)
    _targets(suite)
    _rules(suite)
    _values(suite)
    return suite


def _absent(suite: Suite) -> None:
    suite.case(
        "unknown",
        "A flag that is not there is not found; a deleted one is not there.",
        "evaluation 2.1",
        "nowhere",
        context(),
        failed("FLAG_NOT_FOUND"),
    )
    suite.add(
        flag("archived", archived=True),
        flag("archived-disabled", archived=True, enabled=False),
        flag("archived-target", "a", "b", archived=True, targets=[ALICE_IN]),
        flag("archived-malformed", archived=True, fallthrough=serve("gone")),
        flag("Case"),
    )
    for key, says in {
        "archived": "An archived flag is not found.",
        "archived-disabled": "An archived flag is not found, disabled or not.",
        "archived-target": "An archived flag is not found, whomever it targets.",
        "archived-malformed": "An archived flag is not found, malformed or not.",
        "case": "Case counts in flag keys.",
    }.items():
        suite.case(key, says, "evaluation 2.1", key, context(), failed("FLAG_NOT_FOUND"))


def _disabled(suite: Suite) -> None:
    disabled: Json = {"enabled": False, "fallthrough": serve("a")}
    suite.add(
        flag("disabled", "a", "b", **disabled),
        flag("disabled-target", "a", "b", **disabled, targets=[ALICE_IN]),
        flag("disabled-rule", "a", "b", **disabled, rules=[rule("r", "a")]),
        flag(
            "disabled-prerequisite",
            "a",
            "b",
            **disabled,
            prerequisites=[{"flag_key": "nowhere", "variation_id": "a"}],
        ),
        flag("disabled-malformed", "a", "b", enabled=False, fallthrough=serve("gone")),
        flag("disabled-off-first", "a", "b", **disabled | {"off_variation_id": "a"}),
        flag("disabled-all-targets", "a", "b", **disabled, include_all_targets=True),
    )
    for key, says, variation_id in [
        ("disabled", "A disabled flag serves its off variation.", "b"),
        ("disabled-target", "A disabled flag does not look at targets.", "b"),
        ("disabled-rule", "A disabled flag does not look at rules.", "b"),
        ("disabled-prerequisite", "A disabled flag does not look at prerequisites.", "b"),
        ("disabled-malformed", "What a disabled flag does not serve cannot be malformed.", "b"),
        ("disabled-off-first", "Any variation can be the off variation.", "a"),
        ("disabled-all-targets", "A disabled flag is in no experiment.", "b"),
    ]:
        suite.case(key, says, "evaluation 2.3", key, context(), served(variation_id, "OFF"))


def _targets(suite: Suite) -> None:
    suite.add(
        flag(
            "targets",
            "a",
            "b",
            "c",
            targets=[
                {"variation_id": "a", "keys": ["alice", "bob"]},
                {"variation_id": "b", "keys": ["bob", "Carol", "\u00e9", "", " dave"]},
                {"variation_id": "b", "keys": []},
            ],
            rules=[rule("all", "b")],
        )
    )
    for case_id, says, key, variation_id in [
        ("target", "A target serves its variation, before any rule.", "alice", "a"),
        ("target-first", "The first list that holds the key wins.", "bob", "a"),
        ("target-second", "A later list is looked at too.", "Carol", "b"),
        ("target-nfc", "A key in a list is compared by code point.", "\u00e9", "b"),
        ("target-blank", "A blank in a list counts.", " dave", "b"),
    ]:
        expected = served(variation_id, "TARGET_MATCH")
        suite.case(case_id, says, "evaluation 2.6", "targets", context(key), expected)
    for case_id, says, key in [
        ("target-case", "Case counts in targets.", "carol"),
        ("target-nfd", "Composed and decomposed are not made alike in targets.", "e\u0301"),
        ("target-no-blank", "A blank in a list is not ignored.", "dave"),
        ("target-part", "A target is a whole key.", "ali"),
    ]:
        expected = served("b", "RULE_MATCH", rule="all")
        suite.case(case_id, says, "evaluation 2.6", "targets", context(key), expected)
    named = context("zoe", "alice", key="alice", keyId="alice")
    expected = served("b", "RULE_MATCH", rule="all")
    says = "Targets hold keys: neither names nor attributes count."
    suite.case("target-not-by-name", says, "evaluation 2.6", "targets", named, expected)


def _rules(suite: Suite) -> None:
    spread = {"id": "spread", "name": "Rule spread", "conditions": [GERMAN]}
    suite.add(
        flag(
            "rules",
            "a",
            "b",
            "c",
            rules=[
                rule("both", "a", PRO, GERMAN),
                rule("pro", "b", PRO),
                rule("pro-again", "a", PRO),
                {**spread, "rollout": rollout(("a", 100_000), ("b", 0))},
            ],
        ),
        flag("rule-for-all", "a", "b", rules=[rule("all", "a"), rule("pro", "b", PRO)]),
        flag("no-rules", "a", "b"),
        flag("five", "a", "b", rules=[rule("r", "a", PRO, GERMAN, PRO, GERMAN, PRO)]),
        flag("five-but-one", "a", "b", rules=[rule("r", "a", PRO, PRO, PRO, PRO, GERMAN)]),
    )
    pro, german = {"plan": "pro"}, {"country": "de"}
    cases: list[tuple[str, str, str, dict[str, Any], Json]] = [
        ("rule-and", "All conditions of a rule must hold.", "rules", pro | german,
         served("a", "RULE_MATCH", rule="both")),
        ("rule-first", "The first rule that holds wins.", "rules", pro,
         served("b", "RULE_MATCH", rule="pro")),
        ("rule-spread", "A rule with several shares is bucketed.", "rules", german,
         served("a", "RULE_MATCH", rule="spread", bucketed=True)),
        ("rule-none", "Whom no rule holds is served the fallthrough.", "rules", {},
         served("c", "FALLTHROUGH")),
        ("rule-without-conditions", "A rule without conditions holds for everybody.",
         "rule-for-all", pro, served("a", "RULE_MATCH", rule="all")),
        ("no-rules", "Without rules everybody is served the fallthrough.", "no-rules", pro,
         served("b", "FALLTHROUGH")),
        ("five-conditions", "Any number of conditions may hold.", "five", pro | german,
         served("a", "RULE_MATCH", rule="r")),
        ("last-condition", "The last of many conditions must hold too.", "five-but-one", pro,
         served("b", "FALLTHROUGH")),
    ]  # fmt: skip
    for case_id, says, key, attributes, expected in cases:
        clause = (
            "evaluation 2.8" if expected["reason"] == "REASON_FALLTHROUGH" else "evaluation 2.7"
        )
        suite.case(case_id, says, clause, key, context(**attributes), expected)


def _values(suite: Suite) -> None:
    values: list[tuple[str, str, str, str, Any]] = [
        ("true", "A boolean flag serves a boolean.", "BOOLEAN", "bool_value", True),
        ("false", "A boolean flag serves false as a value.", "BOOLEAN", "bool_value", False),
        ("text", "A text is served as it is.", "STRING", "string_value", " e\u0301 \U0001f600\n"),
        ("empty-text", "The empty text is a value.", "STRING", "string_value", ""),
        ("true-as-text", "A text stays a text.", "STRING", "string_value", "true"),
        ("number", "A number is served.", "NUMBER", "number_value", -12.5),
        ("zero", "Zero is a value.", "NUMBER", "number_value", 0.0),
        ("large", "The largest double is served.", "NUMBER", "number_value", 1.7976931348623157e308),
        ("json", "JSON is served as the text that was written.", "JSON", "json_value",
         '{ "b": 1.0, "a": [null, "\\u00e9"] }'),
        ("json-text", "A JSON text keeps its quotes.", "JSON", "json_value", '"x"'),
    ]  # fmt: skip
    for case_id, says, value_type, kind, value in values:
        key = f"serves-{case_id}"
        variation = {"id": "only", "value": {kind: value}}
        named = f"VALUE_TYPE_{value_type}"
        suite.add(flag(key, "only", value_type=named, variations=[variation]))
        expected = served("only", "FALLTHROUGH", value={kind: value})
        suite.case(key, says, "evaluation 6.1", key, context(), expected)
