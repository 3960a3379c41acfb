"""Which evaluations count for an experiment."""

from __future__ import annotations

from sdks.conformance.authoring.hashing import bucket, in_part, share_of
from sdks.conformance.authoring.rollouts import EDGE_KEYS, PEOPLE
from sdks.conformance.authoring.suite import (
    Json,
    Suite,
    context,
    flag,
    require,
    rollout,
    served,
)

IDS = ("a", "b", "c")


def experiments() -> Suite:
    """Targets, whole shares, parts of shares, and the second bucket."""
    suite = Suite("experiments", "Experiments: who is counted")
    _targets(suite)
    _whole(suite)
    _edges(suite)
    _parts(suite)
    _worked(suite)
    return suite


def _targets(suite: Suite) -> None:
    target = [{"variation_id": "a", "keys": ["alice"]}]
    everybody = rollout(("b", 100_000, 100_000), in_experiment=True)
    for key, include_all in (("targets-all", True), ("targets-not", False)):
        fields = {"targets": target, "fallthrough": everybody, "include_all_targets": include_all}
        suite.add(flag(key, *IDS, **fields))
    clause = "bucketing 4.1"
    expected = served("a", "TARGET_MATCH", in_experiment=True)
    says = "A targeted context counts if all targets do."
    suite.case("target", says, clause, "targets-all", context(), expected)
    says = "A targeted context does not count otherwise, whatever the fallthrough does."
    expected = served("a", "TARGET_MATCH")
    suite.case("target-not", says, clause, "targets-not", context(), expected)
    says = "Who is not targeted counts with the fallthrough."
    expected = served("b", "FALLTHROUGH", in_experiment=True)
    suite.case("untargeted", says, clause, "targets-not", context("bob"), expected)


def _whole(suite: Suite) -> None:
    rows: list[tuple[str, str, Json, bool, bool]] = [
        ("all", "Everybody counts if all targets do.", rollout(("a", 100_000)), True, True),
        ("all-share-0", "All targets are stronger than a share of 0.",
         rollout(("a", 100_000, 0), in_experiment=True), True, True),
        ("not-in", "Nobody counts if the rollout is not in the experiment.",
         rollout(("a", 100_000, 100_000)), False, False),
        ("share-0", "Nobody counts with a share of 0.",
         rollout(("a", 100_000, 0), in_experiment=True), False, False),
        ("share-unset", "A share that is not set is 0.",
         rollout(("a", 100_000), in_experiment=True), False, False),
        ("share-all", "Everybody counts with the whole share.",
         rollout(("a", 100_000, 100_000), in_experiment=True), False, True),
        ("share-negative", "A share below 0 is as 0.",
         rollout(("a", 100_000, -1), in_experiment=True), False, False),
        ("share-above", "A share above the whole is the whole.",
         rollout(("a", 100_000, 200_000), in_experiment=True), False, True),
    ]  # fmt: skip
    for case_id, says, spread, include_all, counted in rows:
        key = f"fallthrough-{case_id}"
        suite.add(flag(key, *IDS, fallthrough=spread, include_all_targets=include_all))
        expected = served("a", "FALLTHROUGH", in_experiment=counted)
        suite.case(key, says, "bucketing 4.2", key, context(), expected)
        key = f"rule-{case_id}"
        rule = {"id": "r", "name": "Rule r", "rollout": spread}
        suite.add(flag(key, *IDS, rules=[rule], include_all_targets=include_all))
        expected = served("a", "RULE_MATCH", rule="r", in_experiment=counted)
        suite.case(key, says, "bucketing 4.2", key, context(), expected)


def _edges(suite: Suite) -> None:
    """With the salt ``edge``, the second bucket is that of the salt ``exptedge``."""
    rows = [
        (50_000, 0, True),
        (50_000, 2**30 - 1, True),
        (50_000, 2**30, False),
        (50_000, 2**31, False),
        (10_000, 214_748_364, True),
        (10_000, 214_748_365, False),
        (1, 0, True),
        (1, 1, True),
        (1, 21_474, True),
        (1, 21_475, False),
        (99_999, 2**31 - 1, False),
        (99_999, 2**31, False),
        (100_000, 2**31, True),
        (33_333, 715_820_724, True),
        (33_333, 715_820_725, False),
    ]
    for share, n, counted in rows:
        require(counted == in_part(share, 100_000, n), (share, n))
        key = f"part-{share}"
        if key not in suite.flags:
            spread = rollout(("a", 100_000, share), in_experiment=True)
            suite.add(flag(key, *IDS, salt="edge", fallthrough=spread))
        says = f"Second bucket {n} is {'within' if counted else 'beyond'} {share / 1000:g} %."
        expected = served("a", "FALLTHROUGH", in_experiment=counted)
        suite.case(f"{key}/{n}", says, "bucketing 4.3", key, context(EDGE_KEYS[n]), expected)

    third = rollout(("a", 99_999, 33_333), ("b", 1, 0), in_experiment=True)
    suite.add(flag("third", *IDS, salt="edge", fallthrough=third))
    for n, counted in ((715_827_882, True), (715_827_883, False)):
        require(share_of((99_999, 1), bucket("edge", EDGE_KEYS[n])) == 0, n)
        require(counted == in_part(33_333, 99_999, n), n)
        says = (
            f"Second bucket {n} is {'within' if counted else 'beyond'} 33,333 of 99,999, a third."
        )
        expected = served("a", "FALLTHROUGH", bucketed=True, in_experiment=counted)
        suite.case(f"third/{n}", says, "bucketing 4.3", "third", context(EDGE_KEYS[n]), expected)

    spread = rollout(("a", 100_000, 100_000), ("b", 0, 1), in_experiment=True)
    suite.add(flag("no-weight", *IDS, salt="exptedge", fallthrough=spread))
    says = "A share without weight that takes what is left counts as a whole."
    expected = served("b", "FALLTHROUGH", bucketed=True, in_experiment=True)
    suite.case("no-weight", says, "bucketing 4.3", "no-weight", context(EDGE_KEYS[2**31]), expected)


def _parts(suite: Suite) -> None:
    shares = (("a", 20_000, 10_000), ("b", 50_000, 40_000), ("c", 30_000, 0))
    weights = [share[1] for share in shares]
    by_company = {"dispatch_attribute": "company", "in_experiment": True}
    suite.add(
        flag("parts", *IDS, fallthrough=rollout(*shares, in_experiment=True)),
        flag("by-company", *IDS, fallthrough=rollout(*shares, **by_company)),
    )
    for who in PEOPLE:
        for key, whom in (("parts", context(who)), ("by-company", context("alice", company=who))):
            variation_id, weight, share = shares[share_of(weights, bucket(key, who))]
            n = bucket(f"expt{key}", who)
            counted = share > 0 and in_part(share, weight, n)
            says = f"Second bucket {n} is {'within' if counted else 'beyond'} {share} of {weight}."
            expected = served(variation_id, "FALLTHROUGH", bucketed=True, in_experiment=counted)
            suite.case(f"{key}/{who}", says, "bucketing 4.3", key, whom, expected)


def _worked(suite: Suite) -> None:
    """The worked examples of bucketing.md, computed by hand there."""
    shares = (("a", 50_000, 20_000), ("b", 50_000, 50_000))
    suite.add(flag("checkout", *IDS, fallthrough=rollout(*shares, in_experiment=True)))
    for who, n, variation_id, counted in [
        ("alice", 1_083_429_849, "b", True),
        ("bob", 1_317_086_670, "b", True),
        ("carol", 679_359_379, "a", True),
        ("judy", 947_080_583, "a", False),
        ("zo\u00eb", 1_288_434_885, "b", True),
    ]:
        require(n == bucket("checkout", who), who)
        says = f"The worked example of {who}, whose bucket is {n}."
        expected = served(variation_id, "FALLTHROUGH", bucketed=True, in_experiment=counted)
        suite.case(f"worked/{who}", says, "bucketing 4.3", "checkout", context(who), expected)
