"""Prerequisites: chains, failures and cycles."""

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

CHAIN = 60


def needs(*pairs: tuple[str, str]) -> list[Json]:
    """Prerequisites of (flag, variation)."""
    return [{"flag_key": key, "variation_id": variation_id} for key, variation_id in pairs]


def needing(key: str, *pairs: tuple[str, str], **fields: object) -> Json:
    """A flag that serves ``yes`` when these prerequisites hold, else ``no``."""
    return flag(key, **{"fallthrough": serve("yes"), "prerequisites": needs(*pairs)} | fields)


def prerequisites() -> Suite:
    """What must be served before a flag is looked at."""
    suite = Suite("prerequisites", "Prerequisites, in order, in chains and in cycles")
    _required(suite)
    _single(suite)
    _several(suite)
    _chains(suite)
    _cycles(suite)
    return suite


def _required(suite: Suite) -> None:
    pro = condition("EQUAL", "pro", attribute="plan")
    targets = [{"variation_id": "yes", "keys": ["alice"]}]
    suite.add(
        flag("serves-yes", fallthrough=serve("yes")),
        flag("serves-no"),
        flag("yes-for-alice", targets=targets),
        flag("yes-for-pro", rules=[rule("pro", "yes", pro)]),
        flag("yes-by-share", fallthrough=rollout(("yes", 0), ("no", 100_000))),
        flag("off-yes", enabled=False, off_variation_id="yes"),
        flag("gone-yes", archived=True, fallthrough=serve("yes")),
        flag("malformed", fallthrough=serve("gone")),
        needing("failing-to-yes", ("nowhere", "yes"), off_variation_id="yes"),
    )


def _single(suite: Suite) -> None:
    alice = [{"variation_id": "yes", "keys": ["alice"]}]
    holding = served("yes", "FALLTHROUGH")
    for case_id, says, required, variation_id, holds in [
        ("holds", "The flag serves the variation", "serves-yes", "yes", True),
        ("other", "The flag serves another variation", "serves-no", "yes", False),
        ("other-wanted", "The flag serves the wanted variation", "serves-no", "no", True),
        ("by-target", "The flag serves the variation by a target", "yes-for-alice", "yes", True),
        ("by-rule", "No rule of the flag serves the variation", "yes-for-pro", "yes", False),
        ("by-share", "The share of the variation is empty", "yes-by-share", "yes", False),
        ("unknown", "There is no such flag", "nowhere", "yes", False),
        ("archived", "An archived flag is absent", "gone-yes", "yes", False),
        ("disabled", "A disabled flag fails although its off variation is wanted",
         "off-yes", "yes", False),
        ("malformed", "A malformed flag serves nothing", "malformed", "gone", False),
        ("unknown-variation", "The flag has no such variation", "serves-yes", "maybe", False),
        ("empty-variation", "No variation has the empty id", "serves-yes", "", False),
        ("error-is-no-variation", "An error is not the empty variation", "malformed", "", False),
        ("failed-to-it", "The flag's own prerequisite failed, but it evaluates to the variation",
         "failing-to-yes", "yes", True),
    ]:  # fmt: skip
        key = f"needs-{case_id}"
        suite.add(needing(key, (required, variation_id)))
        failing = served("no", "PREREQUISITE_FAILED", prerequisite_key=required)
        outcome = "holds" if holds else "fails"
        sentence = f"{says}, so the prerequisite {outcome}."
        expected = holding if holds else failing
        suite.case(case_id, sentence, "evaluation 2.4", key, context(), expected)

    suite.add(
        needing("targeted", ("serves-no", "yes"), targets=alice),
        needing("targeted-holding", ("serves-yes", "yes"), fallthrough=serve("no"), targets=alice),
        needing(
            "for-all", ("serves-no", "yes"), rules=[rule("r", "yes")], include_all_targets=True
        ),
    )
    failing = served("no", "PREREQUISITE_FAILED", prerequisite_key="serves-no")
    says = "A prerequisite that fails comes before targets."
    suite.case("before-targets", says, "evaluation 2.4", "targeted", context(), failing)
    says = "Prerequisites that hold leave the rest as it is."
    expected = served("yes", "TARGET_MATCH")
    suite.case("then-targets", says, "evaluation 2.4", "targeted-holding", context(), expected)
    says = "A failed prerequisite is in no experiment and matches no rule."
    suite.case("before-rules", says, "evaluation 2.4", "for-all", context(), failing)
    for case_id, plan, expected in [
        ("per-context", "pro", holding),
        (
            "per-context-other",
            "free",
            served("no", "PREREQUISITE_FAILED", prerequisite_key="yes-for-pro"),
        ),
    ]:
        says = "A prerequisite is evaluated for the same context."
        suite.case(case_id, says, "evaluation 2.4", "needs-by-rule", context(plan=plan), expected)


def _several(suite: Suite) -> None:
    suite.add(
        needing("all-hold", ("serves-yes", "yes"), ("serves-no", "no")),
        needing("second-fails", ("serves-yes", "yes"), ("serves-no", "yes")),
        needing("both-fail", ("serves-no", "yes"), ("nowhere", "yes")),
        needing("both-fail-turned", ("nowhere", "yes"), ("serves-no", "yes")),
        needing("contradiction", ("serves-yes", "yes"), ("serves-yes", "no")),
        needing("twice", ("serves-yes", "yes"), ("serves-yes", "yes")),
    )
    for key, says, failing in [
        ("all-hold", "All prerequisites hold.", ""),
        ("second-fails", "The second prerequisite fails and is named.", "serves-no"),
        ("both-fail", "The first of two that fail is named.", "serves-no"),
        ("both-fail-turned", "The first in order is named, whatever it is.", "nowhere"),
        ("contradiction", "A flag cannot serve two variations at once.", "serves-yes"),
        ("twice", "The same prerequisite twice is one.", ""),
    ]:
        holding = served("yes", "FALLTHROUGH")
        named = served("no", "PREREQUISITE_FAILED", prerequisite_key=failing)
        suite.case(key, says, "evaluation 2.4", key, context(), named if failing else holding)


def _chains(suite: Suite) -> None:
    suite.add(
        needing("outer", ("middle", "yes")),
        needing("middle", ("yes-for-pro", "yes")),
        needing("diamond", ("left", "yes"), ("right", "yes")),
        needing("left", ("yes-for-pro", "yes")),
        needing("right", ("yes-for-pro", "yes")),
        *(needing(f"link-{n}", (f"link-{n + 1}", "yes")) for n in range(CHAIN)),
        flag(f"link-{CHAIN}", fallthrough=serve("yes")),
    )
    pro, free = context(plan="pro"), context(plan="free")
    holding = served("yes", "FALLTHROUGH")
    for case_id, says, key, whom, failing in [
        ("chain", "A prerequisite of a prerequisite holds.", "outer", pro, ""),
        ("chain-broken", "The flag that is named is the direct prerequisite.", "outer", free, "middle"),
        ("diamond", "Two ways to one flag agree.", "diamond", pro, ""),
        ("diamond-broken", "The first of the two ways is named.", "diamond", free, "left"),
        ("long-chain", f"A chain of {CHAIN} is followed to its end.", "link-0", free, ""),
    ]:  # fmt: skip
        named = served("no", "PREREQUISITE_FAILED", prerequisite_key=failing)
        suite.case(case_id, says, "evaluation 2.4", key, whom, named if failing else holding)


def _cycles(suite: Suite) -> None:
    alice = [{"variation_id": "yes", "keys": ["alice"]}]
    suite.add(
        needing("self", ("self", "yes")),
        needing("ring-1", ("ring-2", "yes")),
        needing("ring-2", ("ring-3", "yes"), targets=alice),
        needing("ring-3", ("ring-1", "yes")),
        needing("asks-ring", ("ring-1", "yes")),
        needing("late-ring", ("serves-no", "yes"), ("late-ring", "yes")),
        needing("pair-on", ("pair-off", "yes")),
        needing("pair-off", ("pair-on", "yes"), enabled=False),
        needing("pair-live", ("pair-archived", "yes")),
        needing("pair-archived", ("pair-live", "yes"), archived=True),
    )
    malformed = failed("MALFORMED_FLAG")
    asking = served("no", "PREREQUISITE_FAILED", prerequisite_key="ring-1")
    absent = served("no", "PREREQUISITE_FAILED", prerequisite_key="pair-archived")
    for key, says, expected in [
        ("self", "A flag that requires itself is malformed.", malformed),
        ("ring-1", "A flag on a cycle is malformed.", malformed),
        ("ring-2", "A flag on a cycle is malformed for those it targets, too.", malformed),
        ("ring-3", "Every flag on a cycle is malformed.", malformed),
        ("asks-ring", "A flag that only leads to a cycle has a prerequisite that fails.", asking),
        ("late-ring", "A cycle is told before any prerequisite fails.", malformed),
        ("pair-on", "A disabled flag closes a cycle, too.", malformed),
        ("pair-off", "A disabled flag on a cycle serves its off variation.", served("no", "OFF")),
        ("pair-live", "An archived flag closes no cycle.", absent),
        ("pair-archived", "An archived flag is not found, on a cycle or not.", failed("FLAG_NOT_FOUND")),
    ]:  # fmt: skip
        suite.case(f"cycle/{key}", says, "evaluation 2.5", key, context(), expected)
