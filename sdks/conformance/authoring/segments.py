"""IN_SEGMENT, NOT_IN_SEGMENT, and what makes a member."""

# ruff: noqa: E501  # a row of a table is one line
from __future__ import annotations

from sdks.conformance.authoring.suite import Json, Suite, condition, context

CHAIN = 60
PRO = condition("EQUAL", "pro", attribute="plan")
GERMAN = condition("EQUAL", "de", attribute="country")


def inside(*segment_ids: str) -> Json:
    """A condition of membership."""
    return condition("IN_SEGMENT", *segment_ids)


def outside(*segment_ids: str) -> Json:
    """A condition of no membership."""
    return condition("NOT_IN_SEGMENT", *segment_ids)


def rules(*rule_conditions: list[Json]) -> list[Json]:
    """A segment's rules from their conditions."""
    return [
        {"id": f"r{number}", "conditions": conditions}
        for number, conditions in enumerate(rule_conditions, 1)
    ]


def segments() -> Suite:
    """Lists, rules, segments in segments, and cycles."""
    suite = Suite("segments", "Segments: lists, rules, nesting and cycles")
    _define(suite)
    _define_nested(suite)
    _define_cycles(suite)
    plain, pro = context(), context(plan="pro")
    german = context(plan="pro", country="de")
    for clause, rows in {
        "evaluation 4.11": _named(plain, pro),
        "evaluation 5.1": _members(plain, pro, german),
        "evaluation 5.2": _absent(plain),
        "evaluation 5.3": _nested(plain, pro, german),
        "evaluation 5.4": _cyclic(plain, pro),
    }.items():
        for case_id, says, segment_ids, whom, member in rows:
            ids = (segment_ids,) if isinstance(segment_ids, str) else segment_ids
            for name, tested, holds in (
                ("in", inside(*ids), member),
                ("not-in", outside(*ids), not member),
            ):
                suite.holds(f"{name}/{case_id}", says, clause, tested, whom, holds)
    return suite


Row = tuple[str, str, str | tuple[str, ...], Json, bool]


def _define(suite: Suite) -> None:
    suite.segment("empty")
    suite.segment("listed", included=["alice", "\u00e9"])
    suite.segment("excluding", included=["alice"], excluded=["alice"], rules=rules([]))
    suite.segment("pro", rules=rules([PRO]))
    suite.segment("pro-but-alice", excluded=["alice"], rules=rules([PRO]))
    suite.segment("pro-and-german", rules=rules([PRO, GERMAN]))
    suite.segment("pro-or-german", rules=rules([GERMAN], [PRO]))
    suite.segment("everybody", rules=rules([]))
    suite.segment("archived", included=["alice"], rules=rules([]), archived=True)
    suite.segment("s-1", key="other-key", included=["alice"])
    suite.segment("unknown-operator", rules=rules([condition(99, "x")]))


def _define_nested(suite: Suite) -> None:
    suite.segment("in-pro", rules=rules([inside("pro")]))
    suite.segment("in-in-pro", rules=rules([inside("in-pro")]))
    suite.segment("not-in-pro", rules=rules([outside("pro")]))
    suite.segment("in-nowhere", rules=rules([inside("nowhere")]))
    suite.segment("not-in-nowhere", rules=rules([outside("nowhere")]))
    suite.segment("not-in-archived", rules=rules([outside("archived")]))
    suite.segment("in-several", rules=rules([inside("nowhere", "empty", "listed")]))
    suite.segment("in-both", rules=rules([inside("listed"), inside("pro")]))
    suite.segment("not-in-any", rules=rules([outside("empty", "listed")]))
    suite.segment("in-pro-but-alice", rules=rules([inside("pro-but-alice")]))
    suite.segment("in-none", rules=rules([condition("IN_SEGMENT")]))
    suite.segment("diamond", rules=rules([inside("in-pro"), outside("not-in-pro")]))
    for number in range(CHAIN):
        suite.segment(f"link-{number}", rules=rules([inside(f"link-{number + 1}")]))
    suite.segment(f"link-{CHAIN}", rules=rules([PRO]))


def _define_cycles(suite: Suite) -> None:
    suite.segment("self", rules=rules([inside("self")]))
    suite.segment("not-self", rules=rules([outside("not-self")]))
    suite.segment("ring-1", rules=rules([inside("ring-2")]))
    suite.segment("ring-2", rules=rules([inside("ring-3")]))
    suite.segment("ring-3", rules=rules([inside("ring-1")]))
    suite.segment("in-ring", rules=rules([inside("ring-1")]))
    suite.segment("not-in-ring", rules=rules([outside("ring-1")]))
    # `left` has a way in beside the cycle; `right` has the cycle only.
    suite.segment("left", rules=rules([inside("right")], [PRO]))
    suite.segment("right", rules=rules([inside("left")]))
    suite.segment("left-then-right", rules=rules([inside("left"), inside("right")]))
    suite.segment("right-then-left", rules=rules([inside("right")], [inside("left")]))
    # `lister` lists alice, which needs no rule; `asker` is on a cycle with it.
    suite.segment("asker", rules=rules([inside("lister")]))
    suite.segment("lister", included=["alice"], excluded=["bob"], rules=rules([inside("asker")]))
    suite.segment("neither-1", rules=rules([outside("neither-2")]))
    suite.segment("neither-2", rules=rules([outside("neither-1")]))
    suite.segment("half-open", rules=rules([inside("half-closed")]))
    suite.segment("half-closed", rules=rules([inside("half-open")]), archived=True)


def _members(plain: Json, pro: Json, german: Json) -> list[Row]:
    return [
        ("included", "The key is included", "listed", plain, True),
        ("not-included", "The key is not included", "listed", context("bob"), False),
        ("included-case", "Case counts in lists", "listed", context("Alice"), False),
        ("included-nfd", "Composed and decomposed differ in lists", "listed", context("e\u0301"), False),
        ("included-nfc", "A listed key is compared by code point", "listed", context("\u00e9"), True),
        ("included-name", "Lists hold keys, not names", "listed", context("bob", "alice"), False),
        ("excluded", "Excluded is stronger than included and rules", "excluding", plain, False),
        ("not-excluded", "A rule without conditions holds", "excluding", context("bob"), True),
        ("rule", "The rule holds", "pro", pro, True),
        ("rule-not", "The rule does not hold", "pro", plain, False),
        ("rule-excluded", "Excluded is stronger than a rule", "pro-but-alice", pro, False),
        ("rule-others", "Others are not excluded", "pro-but-alice", context("bob", plan="pro"), True),
        ("rule-and", "Both conditions hold", "pro-and-german", german, True),
        ("rule-and-not", "One condition does not hold", "pro-and-german", pro, False),
        ("rule-or", "The second rule holds", "pro-or-german", pro, True),
        ("rule-or-not", "No rule holds", "pro-or-german", plain, False),
        ("everybody", "A rule without conditions holds", "everybody", plain, True),
        ("empty", "Nobody is listed and there is no rule", "empty", plain, False),
        ("unknown-operator", "An unknown operator never holds", "unknown-operator", plain, False),
    ]  # fmt: skip


def _named(plain: Json, pro: Json) -> list[Row]:
    return [
        ("several", "One of the segments has the member", ("empty", "listed"), plain, True),
        ("several-not", "None of the segments has the member", ("empty", "pro"), plain, False),
        ("several-unknown", "The unknown segment is passed over", ("nowhere", "listed"), plain, True),
        ("none", "No segment is named", (), plain, False),
        ("by-id", "Conditions name segments by id", "s-1", plain, True),
        ("not-by-key", "Conditions do not name segments by key", "other-key", plain, False),
        ("id-case", "Case counts in ids", "PRO", pro, False),
    ]  # fmt: skip


def _absent(plain: Json) -> list[Row]:
    return [
        ("unknown", "An unknown or deleted segment has no members", "nowhere", plain, False),
        ("archived", "An archived segment has no members", "archived", plain, False),
        ("empty-id", "No segment has the empty id", "", plain, False),
    ]


def _nested(plain: Json, pro: Json, german: Json) -> list[Row]:
    return [
        ("nested", "The inner segment has the member", "in-pro", pro, True),
        ("nested-not", "The inner segment has not the member", "in-pro", plain, False),
        ("nested-twice", "The innermost segment has the member", "in-in-pro", pro, True),
        ("nested-negated", "The inner segment has the member", "not-in-pro", pro, False),
        ("nested-negated-not", "The inner segment has not the member", "not-in-pro", plain, True),
        ("nested-unknown", "The inner segment is unknown", "in-nowhere", plain, False),
        ("nested-unknown-negated", "The inner segment is unknown", "not-in-nowhere", plain, True),
        ("nested-archived", "The inner segment is archived", "not-in-archived", plain, True),
        ("nested-several", "One inner segment has the member", "in-several", plain, True),
        ("nested-both", "Both inner segments have the member", "in-both", pro, True),
        ("nested-both-not", "One inner segment has not the member", "in-both", plain, False),
        ("nested-not-any", "One inner segment has the member", "not-in-any", plain, False),
        ("nested-not-any-other", "No inner segment has the member", "not-in-any", context("bob"), True),
        ("nested-excluded", "The inner segment excludes the key", "in-pro-but-alice", german, False),
        ("nested-none", "The rule names no segment", "in-none", plain, False),
        ("diamond", "Two ways to one segment agree", "diamond", pro, True),
        ("diamond-not", "Two ways to one segment agree", "diamond", plain, False),
        ("long-chain", f"A chain of {CHAIN} is followed to its end", "link-0", pro, True),
        ("long-chain-not", f"A chain of {CHAIN} ends without the member", "link-0", plain, False),
    ]  # fmt: skip


def _cyclic(plain: Json, pro: Json) -> list[Row]:
    bob = context("bob")
    return [
        ("self", "A rule that leads back to its segment never matches", "self", plain, False),
        ("not-self", "A segment that leads back has no members, so its negation holds",
         "not-self", plain, True),
        ("ring-1", "A cycle never matches", "ring-1", plain, False),
        ("ring-2", "A cycle never matches from any place on it", "ring-2", plain, False),
        ("ring-3", "A cycle never matches, whatever the context", "ring-3", pro, False),
        ("in-ring", "A segment on a cycle has no members by it", "in-ring", plain, False),
        ("not-in-ring", "A segment on a cycle has no members by it", "not-in-ring", plain, True),
        ("beside", "Another rule beside the cycle holds", "left", pro, True),
        ("round", "The rule leads round to where a rule holds, but is on the cycle",
         "right", pro, False),
        ("left-then-right", "Only one of both segments has the member", "left-then-right", pro, False),
        ("right-then-left", "It does not count which one is asked first", "right-then-left", pro, True),
        ("left-and-right", "One of both segments has the member", ("right", "left"), pro, True),
        ("listed", "The list of a segment on the cycle decides without a rule", "asker", plain, True),
        ("listed-itself", "The segment's own list decides", "lister", plain, True),
        ("listed-not", "No list on the cycle holds the key", "asker", context("zoe"), False),
        ("listed-excluded", "The list of a segment on the cycle excludes the key", "asker", bob, False),
        ("neither", "The next segment on the cycle lists nobody", "neither-1", plain, True),
        ("neither-other", "The answer is the same from the other side", "neither-2", plain, True),
        ("half-open", "An archived segment closes no cycle", "half-open", plain, False),
    ]  # fmt: skip
