# ruff: noqa: E501  # a row of a table is one line
"""The worked examples of evaluation.md."""

from __future__ import annotations

from sdks.conformance.authoring.suite import (
    Json,
    Suite,
    condition,
    context,
    failed,
    flag,
    rule,
    serve,
    served,
)

MAIL = "erin@example.com"
PRO = condition("EQUAL", "pro", attribute="plan")


def _checkout(key: str, payments: str = "payments", **fields: object) -> Json:
    beta = rule(
        "beta",
        "new",
        condition("IN_SEGMENT", "testers"),
        condition("SEMVER_GREATER_OR_EQUAL", "2.1", attribute="app"),
    )
    needed = [{"flag_key": payments, "variation_id": "on"}]
    targets = [{"variation_id": "new", "keys": ["dora"]}]
    return flag(key, "new", "old", prerequisites=needed, targets=targets, rules=[beta], **fields)


def worked() -> Suite:
    """Whole flags, as the documents walk through them."""
    suite = Suite("worked", "The worked examples of the specification")
    _define(suite)
    new = served("new", "RULE_MATCH", rule="beta")
    old = served("old", "FALLTHROUGH")
    failing = served("old", "PREREQUISITE_FAILED", prerequisite_key="payments-off")
    rows: list[tuple[str, str, str, str, Json, Json]] = [
        ("target", "A target holds the key.", "2.6", "checkout", context("dora"), served("new", "TARGET_MATCH")),
        ("rule", "v2.1.0 equals 2.1.", "4.9", "checkout", context("erin", email=MAIL, app="v2.1.0"), new),
        ("number", "The number's text is 2.1.", "4.3", "checkout", context("erin", email=MAIL, app=2.1), new),
        ("pre-release", "A pre-release is below its release.", "4.9", "checkout", context("erin", email=MAIL, app="2.1.0-rc.1"), old),
        ("list", "One element of the list ends so.", "4.2", "checkout", context("erin", email=("a@test", MAIL), app="3"), new),
        ("excluded", "Excluded is stronger than a rule.", "5.1", "checkout", context("mallory", email="m@example.com", app="3"), old),
        ("missing", "A missing attribute is the empty text.", "4.5", "checkout", context("erin"), old),
        ("empty-key", "The context is invalid.", "2.2", "checkout", context(""), failed("INVALID_CONTEXT")),
        ("payments-off", "The prerequisite fails before any target.", "2.4", "checkout-payments-off", context("dora"), failing),
        ("disabled", "A disabled flag looks at nothing else.", "2.3", "checkout-disabled", context("dora"), served("old", "OFF")),
        ("archived", "The flag is not there.", "2.1", "checkout-archived", context("dora"), failed("FLAG_NOT_FOUND")),
        ("cycle-a", "A rule beside the cycle holds.", "5.4", "in-a", context(plan="pro"), served("yes", "RULE_MATCH", rule="r")),
        ("cycle-b", "The rule on the cycle sees empty lists.", "5.4", "in-b", context(plan="pro"), served("no", "FALLTHROUGH")),
    ]  # fmt: skip
    for case_id, says, clause, key, whom, expected in rows:
        suite.case(case_id, says, f"evaluation {clause}", key, whom, expected)
    return suite


def _define(suite: Suite) -> None:
    suite.add(
        flag("payments", "on", "off", fallthrough=serve("on")),
        flag("payments-off", "on", "off", fallthrough=serve("on"), enabled=False),
        _checkout("checkout"),
        _checkout("checkout-payments-off", "payments-off"),
        _checkout("checkout-disabled", "payments-off", enabled=False),
        _checkout("checkout-archived", archived=True),
        flag("in-a", rules=[rule("r", "yes", condition("IN_SEGMENT", "a"))]),
        flag("in-b", rules=[rule("r", "yes", condition("IN_SEGMENT", "b"))]),
    )
    mail = condition("ENDS_WITH", "@example.com", attribute="email")
    in_a, in_b = condition("IN_SEGMENT", "a"), condition("IN_SEGMENT", "b")
    suite.segment("testers", excluded=["mallory"], rules=[{"id": "mail", "conditions": [mail]}])
    suite.segment(
        "a", rules=[{"id": "in-b", "conditions": [in_b]}, {"id": "pro", "conditions": [PRO]}]
    )
    suite.segment("b", rules=[{"id": "in-a", "conditions": [in_a]}])
