"""Rollouts against the formula of evaluation.md, computed here on its own."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import pytest

from featmesh.engine import (
    Attribute,
    Condition,
    Context,
    ErrorKind,
    Flag,
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
)
from featmesh.engine import rollout as rollout_module
from featmesh.engine.digest import md5
from featmesh.engine.rollout import Split, bucket, compile_rollout


def specified_bucket(salt: str, value: str) -> int:
    digest = hashlib.md5((salt + value).encode()).digest()
    (number,) = struct.unpack("<i", digest[:4])
    return abs(int(number))


def specified_share(weights: list[int], n: int) -> int:
    for index in range(len(weights)):
        if n * 100_000 < sum(weights[: index + 1]) * 2**31:
            return index
    return len(weights) - 1


def rollout(*weights: int, **options: object) -> Rollout:
    shares = tuple(Share(f"v{n}", weight) for n, weight in enumerate(weights))
    return Rollout(shares, **options)  # type: ignore[arg-type]  # names are checked


def flag(fallthrough: Rollout, **options: object) -> Flag:
    return Flag(
        key="checkout",
        value_type=ValueType.STRING,
        variations=tuple(Variation(f"v{n}", "", str(n)) for n in range(4)),
        off_variation_id="v0",
        fallthrough=fallthrough,
        enabled=True,
        **options,  # type: ignore[arg-type]  # names are checked
    )


def answer(subject: Flag, key: str = "alice", **attributes: Attribute) -> Result:
    snapshot = Snapshot.build(1, [subject], ())
    return evaluate(snapshot, "checkout", Context(key, attributes=attributes), 0)


@pytest.mark.parametrize(
    ("salted", "n"),
    # int32 of the first four bytes of well-known digests: d41d8cd9…, 0cc175b9…, 900150983cd24fb0…
    [(b"", 645_128_748), (b"a", 1_183_465_204), (b"abc", 1_739_587_184)],
)
def test_known_buckets(salted: bytes, n: int) -> None:
    assert bucket(salted) == n == specified_bucket("", salted.decode())


@pytest.mark.parametrize("weights", [(10_000, 90_000), (1, 99_999), (33_333, 33_333, 33_334)])
def test_every_key_gets_the_share_that_the_formula_gives(weights: tuple[int, ...]) -> None:
    subject = flag(rollout(*weights))
    for number in range(500):
        key = f"user-{number}"
        expected = specified_share(list(weights), specified_bucket("checkout", key))
        result = answer(subject, key)
        assert (result.variation_id, result.bucketed) == (f"v{expected}", True)


def test_ten_percent_are_about_ten_percent() -> None:
    snapshot = Snapshot.build(1, [flag(rollout(10_000, 90_000))], ())
    counts = Counter(
        evaluate(snapshot, "checkout", Context(f"user-{n}"), 0).variation_id for n in range(5000)
    )
    assert 400 < counts["v0"] < 600


def test_imported_percentages_keep_each_user_where_featbit_has_them() -> None:
    """FeatBit divides the int32 by -2^31 and looks for the range of doubles that holds it."""
    subject = flag(rollout(25_000, 75_000))
    for number in range(500):
        digest = hashlib.md5(f"checkoutuser-{number}".encode()).digest()
        percentage = abs(struct.unpack("<i", digest[:4])[0] / -(2**31))
        expected = "v0" if 0 <= percentage <= 0.25 else "v1"
        assert answer(subject, f"user-{number}").variation_id == expected


@pytest.mark.parametrize(
    ("weights", "n", "share"),
    [
        ((50_000, 50_000), 0, 0),
        ((0, 100_000), 0, 1),
        ((50_000, 50_000), 2**30 - 1, 0),
        ((50_000, 50_000), 2**30, 1),
        ((50_000, 50_000), 2**31, 1),
        ((100_000, 0), 2**31 - 1, 0),
        ((100_000, 0), 2**31, 1),
        ((10_000, 90_000), 214_748_364, 0),
        ((10_000, 90_000), 214_748_365, 1),
        ((1, 99_999), 21_474, 0),
        ((1, 99_999), 21_475, 1),
        ((30_000, 30_000), 2**31 - 1, 1),
        ((60_000, -20_000, 60_000), 2**30, 0),
    ],
)
def test_edges_of_shares(
    monkeypatch: pytest.MonkeyPatch, weights: tuple[int, ...], n: int, share: int
) -> None:
    """No text is known for the extreme buckets, so the hash is set to them here."""
    hash_to(monkeypatch, -n)
    assert specified_share(list(weights), n) == share
    assert answer(flag(rollout(*weights))).variation_id == f"v{share}"


@pytest.mark.parametrize("number", [-(2**31), -1, 0, 1, 2**31 - 1])
def test_a_bucket_is_the_hash_without_its_sign(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    hash_to(monkeypatch, number)
    assert bucket(b"anything") == abs(number)


@pytest.mark.parametrize("text", [b"", b"checkout", "Zoë & Co".encode(), b"x" * 1_000])
def test_the_short_way_to_md5_gives_the_same_digest(text: bytes) -> None:
    assert md5(text).digest() == hashlib.md5(text).digest()


def hash_to(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Has every text hashed to this int32."""

    class Digest:
        def digest(self) -> bytes:
            return number.to_bytes(4, "little", signed=True) + b"\xff" * 12

    monkeypatch.setattr(rollout_module, "md5", lambda _salted: Digest())


def test_one_share_of_everything_is_not_bucketed() -> None:
    assert answer(flag(rollout(100_000))).bucketed is False


def test_the_salt_replaces_the_key_so_that_a_rename_moves_nobody() -> None:
    weights = (50_000, 50_000)
    for number in range(50):
        n = specified_bucket("old-key", f"u{number}")
        result = answer(flag(rollout(*weights), salt="old-key"), f"u{number}")
        assert result.variation_id == f"v{specified_share(list(weights), n)}"


@pytest.mark.parametrize(
    ("attribute", "given", "hashed"),
    [
        ("", {}, "alice"),
        ("key", {"key": "other"}, "alice"),
        ("keyId", {}, "alice"),
        ("company", {"company": "Zoë & Co"}, "Zoë & Co"),
        ("company", {}, ""),
        ("company", {"company": 10.0}, "10"),
        ("company", {"company": True}, "true"),
        ("company", {"company": ("a", "b")}, ""),
        ("name", {}, ""),
    ],
)
def test_the_dispatch_attribute_is_hashed_as_text(
    attribute: str, given: dict[str, Attribute], hashed: str
) -> None:
    weights = (100,) * 1_000  # so many that no other text lands in the same share
    variations = tuple(Variation(f"v{n}", "", str(n)) for n in range(len(weights)))
    subject = replace(flag(rollout(*weights, dispatch_attribute=attribute)), variations=variations)
    snapshot = Snapshot.build(1, [subject], ())
    result = evaluate(snapshot, "checkout", Context("alice", attributes=given), 0)
    share = specified_share(list(weights), specified_bucket("checkout", hashed))
    assert result.variation_id == f"v{share}"


@pytest.mark.parametrize("weights", [(50_000, 50_000), (100_000, 0), (0, 100_000)])
def test_a_rollout_that_names_an_unknown_variation_is_malformed_for_everybody_it_serves(
    weights: tuple[int, int],
) -> None:
    broken = Rollout((Share("v0", weights[0]), Share("gone", weights[1])))
    kinds = {answer(flag(broken), f"u{n}").error_kind for n in range(50)}
    assert kinds == {ErrorKind.MALFORMED_FLAG}


def test_a_malformed_rollout_does_not_harm_those_whom_another_one_serves() -> None:
    broken = Rollout((Share("v0", 50_000), Share("gone", 50_000)))
    paying = Condition("plan", "EQUAL", ("pro",))
    subject = flag(broken, rules=(Rule("r", "", (paying,), rollout(100_000)),))
    assert answer(subject, plan="pro").variation_id == "v0"
    assert answer(subject, plan="free").error_kind is ErrorKind.MALFORMED_FLAG


# --- in experiment ------------------------------------------------------------------------


@pytest.mark.parametrize("include_all", [True, False])
def test_a_target_is_in_the_experiment_if_all_targets_are(include_all: bool) -> None:
    subject = flag(
        rollout(100_000), targets=(Target("v1", ("alice",)),), include_all_targets=include_all
    )
    result = answer(subject)
    assert (result.reason, result.in_experiment) == (Reason.TARGET_MATCH, include_all)


@pytest.mark.parametrize(
    ("include_all", "in_experiment", "share", "weight", "expected"),
    [
        (True, False, 0, 100_000, True),
        (False, False, 100_000, 100_000, False),
        (False, True, 0, 100_000, False),
        (False, True, 100_000, 100_000, True),
        (False, True, 50_000, 30_000, True),
        (False, True, 10, 0, True),
        (False, True, 0, 0, False),
    ],
)
def test_who_is_in_an_experiment_without_a_second_hash(
    include_all: bool, in_experiment: bool, share: int, weight: int, expected: bool
) -> None:
    spread = Rollout((Share("v1", weight, share),), in_experiment=in_experiment)
    subject = flag(spread, include_all_targets=include_all)
    assert answer(subject).in_experiment is expected
    by_rule = flag(
        rollout(100_000),
        rules=(Rule("r", "", (), spread),),
        include_all_targets=include_all,
    )
    assert answer(by_rule).in_experiment is expected


@pytest.mark.parametrize(("share", "weight"), [(10_000, 100_000), (20_000, 60_000), (1, 3)])
def test_a_part_of_a_share_is_chosen_by_a_second_hash(share: int, weight: int) -> None:
    spread = Rollout((Share("v0", weight, share),), in_experiment=True)
    inside = 0
    for number in range(300):
        key = f"user-{number}"
        n = specified_bucket("exptcheckout", key)
        expected = Fraction(n, 2**31) < Fraction(share, weight)
        inside += expected
        assert answer(flag(spread), key).in_experiment is expected
    assert 0 < inside < 300


def test_a_rollout_that_is_the_same_for_everybody_is_prepared_as_a_constant() -> None:
    def outcome(variation_id: str, *, bucketed: bool, in_experiment: bool) -> Result:
        return Result("f", 1.0, variation_id, Reason.FALLTHROUGH, "", "", bucketed, in_experiment)

    constant = compile_rollout(rollout(100_000), salt="s", include_all=False, outcome=outcome)
    assert isinstance(constant, Result)
    split = compile_rollout(rollout(1, 99_999), salt="s", include_all=False, outcome=outcome)
    assert isinstance(split, Split)
