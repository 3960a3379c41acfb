"""Rollouts: buckets, edges of shares, salts and dispatch attributes."""

# ruff: noqa: E501  # a row of a table is one line
from __future__ import annotations

from itertools import count

from sdks.conformance.authoring.hashing import bucket, share_of
from sdks.conformance.authoring.suite import (
    MISSING,
    Attribute,
    Json,
    Suite,
    condition,
    context,
    flag,
    require,
    rollout,
    served,
)

EDGE_SALT = "exptedge"
"""Also what a second bucket of the salt ``edge`` is salted with."""

EDGE_KEYS = {
    0: "3mqyqbak",
    1: "ogjljaaf",
    21_474: "56xmagak",
    21_475: "hujvbaav",
    214_748_364: "lkk76ca5",
    214_748_365: "4f33jaa7",
    715_820_724: "fdgfvcao",
    715_820_725: "jknlkcap",
    715_827_882: "wrfvlcaj",
    715_827_883: "6lyosaad",
    2**30 - 1: "gzykfcab",
    2**30: "y4au6baa",
    2**31 - 1: "epkpnaax",
    2**31: "yuuspdag",
}
"""Keys whose bucket with the salt ``exptedge`` is known, found by trying 2^33 of them."""

PEOPLE = ("alice", "bob", "carol", "dave", "erin", "frank", "zo\u00eb", "\U0001f600", "user-1", "0")
IDS = ("a", "b", "c", "d")


def spread(weights: tuple[int, ...], **fields: object) -> Json:
    """A rollout over the first variations."""
    return rollout(*zip(IDS, weights, strict=False), **fields)


def rollouts() -> Suite:
    """Who gets which share, and why."""
    suite = Suite("rollouts", "Rollouts: buckets, edges, salts and dispatch attributes")
    _buckets(suite)
    _edges(suite)
    _odd_weights(suite)
    _salts(suite)
    _dispatch(suite)
    return suite


def _share(place: int) -> Json:
    return served(IDS[place], "FALLTHROUGH", bucketed=True)


def _buckets(suite: Suite) -> None:
    spreads = {
        "halves": (50_000, 50_000),
        "tenth": (10_000, 90_000),
        "thirds": (33_333, 33_333, 33_334),
        "quarters": (25_000, 25_000, 25_000, 25_000),
    }
    for key, weights in spreads.items():
        suite.add(flag(key, *IDS, fallthrough=spread(weights)))
        for who in PEOPLE:
            n = bucket(key, who)
            place = share_of(weights, n)
            says = f"Bucket {n} of {2**31} is in share {place + 1} of {len(weights)}."
            suite.case(f"{key}/{who}", says, "bucketing 3.1", key, context(who), _share(place))
    suite.add(
        flag("everybody", *IDS, fallthrough=spread((100_000,))),
        flag("alone-with-less", *IDS, fallthrough=spread((30_000,))),
    )
    says = "One share of everything needs no hash."
    expected = served("a", "FALLTHROUGH")
    suite.case("everybody", says, "bucketing 1.2", "everybody", context(), expected)
    says = "A single share of less takes whatever is left, by a hash."
    suite.case("alone-with-less", says, "bucketing 3.2", "alone-with-less", context(), _share(0))


def _edges(suite: Suite) -> None:
    edges: list[tuple[tuple[int, ...], int, int]] = [
        ((50_000, 50_000), 0, 0),
        ((50_000, 50_000), 2**30 - 1, 0),
        ((50_000, 50_000), 2**30, 1),
        ((50_000, 50_000), 2**31 - 1, 1),
        ((50_000, 50_000), 2**31, 1),
        ((10_000, 90_000), 214_748_364, 0),
        ((10_000, 90_000), 214_748_365, 1),
        ((10_000, 40_000, 50_000), 214_748_365, 1),
        ((10_000, 40_000, 50_000), 2**30 - 1, 1),
        ((10_000, 40_000, 50_000), 2**30, 2),
        ((33_333, 33_333, 33_334), 715_820_724, 0),
        ((33_333, 33_333, 33_334), 715_820_725, 1),
        ((1, 99_999), 0, 0),
        ((1, 99_999), 1, 0),
        ((1, 99_999), 21_474, 0),
        ((1, 99_999), 21_475, 1),
        ((99_999, 1), 2**31 - 1, 1),
        ((99_999, 1), 2**31, 1),
        ((0, 100_000), 0, 1),
        ((0, 0, 100_000), 0, 2),
        ((0, 1, 99_999), 0, 1),
        ((100_000, 0), 0, 0),
        ((100_000, 0), 2**31 - 1, 0),
        ((100_000, 0), 2**31, 1),
        ((50_000, 0, 50_000), 2**30 - 1, 0),
        ((50_000, 0, 50_000), 2**30, 2),
    ]
    for weights, n, place in edges:
        require(place == share_of(weights, n), (weights, n))
        key = f"edge-{'-'.join(map(str, weights))}"
        if key not in suite.flags:
            suite.add(flag(key, *IDS, salt=EDGE_SALT, fallthrough=spread(weights)))
        percent = " + ".join(f"{weight / 1000:g} %" for weight in weights)
        says = f"Of {percent}, bucket {n} is in share {place + 1}."
        last = n == 2**31
        clause = "bucketing 3.2" if last else "bucketing 3.1"
        suite.case(f"{key}/{n}", says, clause, key, context(EDGE_KEYS[n]), _share(place))


def _odd_weights(suite: Suite) -> None:
    odd: list[tuple[str, str, tuple[int, ...], int, int]] = [
        ("too-little", "The last share takes what is left.", (30_000, 30_000), 2**31 - 1, 1),
        ("too-little-start", "The first share is as it says.", (30_000, 30_000), 0, 0),
        ("too-much", "Shares beyond the whole are not reached.", (60_000, 60_000, 60_000), 2**31 - 1, 1),
        ("too-much-end", "2^31 is below a sum of more than the whole.", (60_000, 60_000, 60_000), 2**31, 1),
        ("nothing", "The last share takes everything.", (0, 0), 0, 1),
        ("negative", "The first sum that is large enough wins.", (60_000, -20_000, 60_000), 2**30, 0),
        ("negative-first", "A sum below zero holds no bucket.", (-10_000, 60_000, 50_000), 0, 1),
        ("largest", "Weights are multiplied in 64 bits or more.", (2_147_483_647, 1), 2**31, 0),
    ]  # fmt: skip
    for case_id, says, weights, n, place in odd:
        require(place == share_of(weights, n), case_id)
        key = f"odd-{case_id}"
        suite.add(flag(key, *IDS, salt=EDGE_SALT, fallthrough=spread(weights)))
        suite.case(key, says, "bucketing 3.3", key, context(EDGE_KEYS[n]), _share(place))


def _telling_salt(right: str, wrong: str) -> str:
    """A salt that puts two values into different halves."""
    return next(
        salt
        for salt in (f"salt-{number}" for number in count(1))
        if _half(salt, right) != _half(salt, wrong)
    )


def _half(salt: str, value: str) -> int:
    return share_of((50_000, 50_000), bucket(salt, value))


def _salts(suite: Suite) -> None:
    halves = spread((50_000, 50_000))
    for salt in ("other", "expt", "halves", "\u00e9", "\U0001f600", " "):
        key = f"salted-{len(suite.flags)}"
        suite.add(flag(key, *IDS, salt=salt, fallthrough=halves))
        for who in ("alice", "bob"):
            says = "The flag's salt is hashed before the value, not its key."
            place = _half(salt, who)
            suite.case(f"{key}/{who}", says, "bucketing 2.2", key, context(who), _share(place))
    rule_spread = {"id": "r", "name": "Rule r", "rollout": spread((50_000, 50_000))}
    suite.add(flag("salted-rule", *IDS, rules=[rule_spread], salt="other"))
    for who in ("alice", "bob", "carol"):
        says = "Rules and fallthrough share the flag's salt."
        expected = served(IDS[_half("other", who)], "RULE_MATCH", rule="r", bucketed=True)
        suite.case(
            f"salted-rule/{who}", says, "bucketing 2.2", "salted-rule", context(who), expected
        )


def _dispatch(suite: Suite) -> None:
    rows: list[tuple[str, str, Attribute, str, str]] = [
        ("text", "The attribute is hashed, not the key.", "acme", "acme", "alice"),
        ("missing", "A missing attribute is the empty text, not the key.", MISSING, "", "alice"),
        ("empty", "An empty attribute is the empty text, not the key.", "", "", "alice"),
        ("number", "A number's shortest text is hashed.", 10.0, "10", "10.0"),
        ("fraction", "A number's shortest text is hashed.", 0.5, "0.5", ".5"),
        ("large", "A large number has an exponent with a plus.", 1e21, "1e+21", "1e21"),
        ("negative-zero", "Negative zero is hashed as 0.", -0.0, "0", "-0"),
        ("true", "A boolean is hashed in lower case.", True, "true", "True"),
        ("false", "A boolean is hashed in lower case.", False, "false", ""),
        ("list", "A list has no text and is the empty one.", ("a", "b"), "", "a"),
        ("list-of-one", "A list of one has no text, too.", ("a",), "", "a"),
        ("nfd", "Texts are hashed as they are.", "e\u0301", "e\u0301", "\u00e9"),
        ("astral", "UTF-8 is hashed, not UTF-16.", "\U0001f600", "\U0001f600", "\ufffd"),
        ("case", "Case counts.", "Acme", "Acme", "acme"),
        ("blank", "Blanks count.", " acme ", " acme ", "acme"),
    ]  # fmt: skip
    for case_id, says, attribute, right, wrong in rows:
        key, salt = f"dispatch-{case_id}", _telling_salt(right, wrong)
        by_company = spread((50_000, 50_000), dispatch_attribute="company")
        suite.add(flag(key, *IDS, salt=salt, fallthrough=by_company))
        whom, place = context(company=attribute), _half(salt, right)
        suite.case(key, says, "bucketing 2.3", key, whom, _share(place))
    built_in = [
        ("key", "key is the context's key.", "alice", "x"),
        ("keyId", "keyId is the context's key.", "alice", "x"),
        ("name", "name is the context's name.", "Alice", "x"),
        ("Name", "Case counts in the attribute's name.", "", "Alice"),
    ]
    whom = context("alice", "Alice", key="x", keyId="x")
    for attribute, says, right, wrong in built_in:
        key, salt = f"dispatch-by-{attribute}", _telling_salt(right, wrong)
        by_field = spread((50_000, 50_000), dispatch_attribute=attribute)
        suite.add(flag(key, *IDS, salt=salt, fallthrough=by_field))
        suite.case(key, says, "bucketing 2.3", key, whom, _share(_half(salt, right)))
    _dispatch_of_rules(suite)


def _dispatch_of_rules(suite: Suite) -> None:
    salt = _telling_salt("acme", "alice")
    by_company = spread((50_000, 50_000), dispatch_attribute="company")
    pro = condition("EQUAL", "pro", attribute="plan")
    rule = {"id": "r", "name": "Rule r", "conditions": [pro], "rollout": by_company}
    halves = spread((50_000, 50_000))
    suite.add(flag("dispatch-of-rule", *IDS, salt=salt, rules=[rule], fallthrough=halves))
    says, clause = "Each rollout has its own dispatch attribute.", "bucketing 2.3"
    whom = context(company="acme", plan="pro")
    expected = served(IDS[_half(salt, "acme")], "RULE_MATCH", rule="r", bucketed=True)
    suite.case("dispatch-of-rule", says, clause, "dispatch-of-rule", whom, expected)
    suite.case(
        "dispatch-of-fallthrough",
        says,
        clause,
        "dispatch-of-rule",
        context(company="acme"),
        _share(_half(salt, "alice")),
    )
