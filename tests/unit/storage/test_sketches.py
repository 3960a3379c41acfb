from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.storage.model.sketches import (
    RELATIVE_STANDARD_ERROR,
    estimate,
    estimate_merged,
    extended,
    merged,
)

KEYS = st.lists(st.text(min_size=1, max_size=20), max_size=60)


def users(start: int, end: int) -> list[str]:
    return [f"user-{number}" for number in range(start, end)]


@pytest.mark.parametrize("count", [1, 10, 1_000, 30_000, 200_000])
def test_an_estimate_is_within_three_standard_errors(count: int) -> None:
    found = estimate(extended(None, users(0, count)))
    assert abs(found - count) <= 3 * RELATIVE_STANDARD_ERROR * count


def test_the_error_of_many_sketches_is_the_one_that_is_stated() -> None:
    """Root mean square over 60 sets of users: within what chance allows around 1.63 %."""
    count, sets = 20_000, 60
    errors = [
        estimate(extended(None, users(n * count, (n + 1) * count))) / count - 1 for n in range(sets)
    ]
    root_mean_square = (sum(error**2 for error in errors) / sets) ** 0.5
    assert root_mean_square < 1.4 * RELATIVE_STANDARD_ERROR


@settings(deadline=None)
@given(KEYS, KEYS)
def test_merging_is_as_if_one_had_seen_all_and_few_are_counted_exactly(
    first: list[str], second: list[str]
) -> None:
    parts = [extended(None, first), extended(None, second)]
    assert estimate_merged(parts) == estimate(merged(parts)) == len({*first, *second})
    assert estimate(extended(parts[0], second)) == len({*first, *second})


def test_merging_overlapping_crowds_counts_nobody_twice() -> None:
    parts = [extended(None, users(start, start + 20_000)) for start in (0, 10_000, 20_000)]
    assert abs(estimate_merged(parts) - 40_000) <= 3 * RELATIVE_STANDARD_ERROR * 40_000


def test_a_sketch_of_a_crowd_is_small() -> None:
    assert len(extended(None, users(0, 100_000))) <= 2_150


def test_nothing_is_nobody() -> None:
    assert estimate_merged([]) == 0
    assert estimate(extended(None, [])) == 0


@pytest.mark.parametrize("data", [b"x", b"no sketch at all, just some text"])
def test_what_is_no_sketch_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a sketch"):
        estimate(data)
