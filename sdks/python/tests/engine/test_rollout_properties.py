"""What a rollout promises over many keys, and what a change of weights does to them."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featmesh.engine import (
    FULL_WEIGHT,
    Context,
    Flag,
    Rollout,
    Share,
    Snapshot,
    ValueType,
    Variation,
    evaluate,
)

KEYS = 100_000
DEVIATIONS = 4
"""The keys never change, so a bound that holds once holds always."""

SALTS = st.text(max_size=6)
SOME_KEYS = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=40, unique=True)


def snapshot(*weights: int, salt: str = "", experiment_share: int = 0) -> Snapshot:
    shares = tuple(Share(f"v{n}", weight, experiment_share) for n, weight in enumerate(weights))
    flag = Flag(
        key="f",
        value_type=ValueType.STRING,
        variations=tuple(Variation(share.variation_id, "", "x") for share in shares),
        off_variation_id="v0",
        fallthrough=Rollout(shares, in_experiment=True),
        enabled=True,
        salt=salt,
    )
    return Snapshot.build(1, [flag], ())


def served(subject: Snapshot, key: str) -> str:
    return evaluate(subject, "f", Context(key), 0).variation_id


def assert_within_bounds(count: int, total: int, part: float) -> None:
    bound = DEVIATIONS * sqrt(total * part * (1 - part))
    assert abs(count - total * part) <= bound, (count, total * part, bound)


@pytest.mark.parametrize(
    "weights",
    [(50_000, 50_000), (1_000, 99_000), (100, 99_900), (10_000, 20_000, 30_000, 40_000)],
)
def test_each_share_gets_its_weight_of_a_hundred_thousand_keys(weights: tuple[int, ...]) -> None:
    subject = snapshot(*weights)
    counts = Counter(served(subject, f"user-{n}") for n in range(KEYS))
    for n, weight in enumerate(weights):
        assert_within_bounds(counts[f"v{n}"], KEYS, weight / FULL_WEIGHT)


def test_an_experiment_counts_its_part_of_every_share_alike() -> None:
    """The second bucket says nothing about the first one."""
    subject = snapshot(50_000, 50_000, experiment_share=10_000)
    counts: Counter[tuple[str, bool]] = Counter()
    for n in range(KEYS):
        result = evaluate(subject, "f", Context(f"user-{n}"), 0)
        counts[result.variation_id, result.in_experiment] += 1
    for variation_id in ("v0", "v1"):
        inside = counts[variation_id, True]
        assert_within_bounds(inside, inside + counts[variation_id, False], 0.2)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, FULL_WEIGHT), st.integers(0, FULL_WEIGHT), SALTS, SOME_KEYS)
def test_raising_the_first_share_never_takes_a_user_out(
    one: int, other: int, salt: str, keys: list[str]
) -> None:
    low, high = sorted((one, other))
    before = snapshot(low, FULL_WEIGHT - low, salt=salt)
    after = snapshot(high, FULL_WEIGHT - high, salt=salt)
    for key in keys:
        if served(before, key) == "v0":
            assert served(after, key) == "v0"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, FULL_WEIGHT), min_size=4, max_size=4), st.integers(0, 2), SALTS,
    SOME_KEYS,
)  # fmt: skip
def test_moving_one_edge_moves_only_users_between_its_two_shares(
    edges: list[int], moved: int, salt: str, keys: list[str]
) -> None:
    """Of a share that grows at its next neighbour's cost nobody is taken out."""
    *ends, further = sorted(edges)
    ends_after = sorted(ends)
    ends_after[moved] = further if moved == 2 else ends[moved + 1]
    before = snapshot(*_weights(ends), salt=salt)
    after = snapshot(*_weights(ends_after), salt=salt)
    for key in keys:
        was, now = served(before, key), served(after, key)
        assert was == now or (was, now) == (f"v{moved + 1}", f"v{moved}")


def _weights(ends: list[int]) -> list[int]:
    starts = [0, *ends]
    return [end - start for start, end in zip(starts, [*ends, FULL_WEIGHT], strict=True)]
