from __future__ import annotations

import pytest

from services.storage.model.durations import LONGEST_MS, bucket_of, middle_of, quantile


def test_up_to_fifteen_milliseconds_a_duration_is_kept_as_it_is() -> None:
    assert [middle_of(bucket_of(each)) for each in range(16)] == list(range(16))


def test_a_longer_one_is_kept_within_its_bound_and_buckets_leave_no_gap() -> None:
    last = bucket_of(15)
    for duration in range(16, 100_000):
        bucket = bucket_of(duration)
        assert bucket in {last, last + 1}
        assert abs(middle_of(bucket) - duration) <= duration * 0.0625
        last = bucket


@pytest.mark.parametrize(("duration", "kept"), [(-5, 0), (LONGEST_MS * 10, LONGEST_MS)])
def test_what_is_beyond_all_bounds_counts_as_the_bound(duration: int, kept: int) -> None:
    assert bucket_of(duration) == bucket_of(kept) <= 157


def test_a_quantile_is_the_smallest_value_that_so_many_do_not_exceed() -> None:
    weights = [(30.0, 1), (10.0, 98), (20.0, 1)]
    assert [quantile(weights, share) for share in (0.5, 0.98, 0.99, 1.0)] == [10, 10, 20, 30]
    assert quantile([], 0.5) == 0
