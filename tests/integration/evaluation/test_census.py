"""What a census counts, without a server around it."""

from __future__ import annotations

import pytest

from services.evaluation.progress.tracker import TRACKED_REVISIONS, Census, Standing
from services.storage.model.durations import bucket_of
from services.storage.model.progress import RevisionCensus

FIRST, SECOND, THIRD = 1_000_000, 2_000_000, 3_000_000


@pytest.fixture
def census() -> Census:
    fresh = Census()
    fresh.track(FIRST)
    return fresh


def opened(census: Census, instance_id: str = "", since: int = 0, at: int = FIRST) -> Standing:
    standing = census.join(instance_id)
    census.holds(standing, since)
    census.opened(standing, at, at + 500)
    return standing


def counted(census: Census) -> dict[int, tuple[int, int]]:
    """Streams that stand at each revision: handed, applied."""
    return {each.revision: (each.handed, each.applied) for each in census.taken("e").revisions}


def last(census: Census) -> RevisionCensus:
    return census.taken("e").revisions[-1]


def test_a_stream_counts_as_connected_from_the_first_and_as_handed_once_it_was_written(
    census: Census,
) -> None:
    standing = census.join("sdk")
    assert (census.taken("e").streams, counted(census)) == (1, {FIRST: (0, 0)})
    census.holds(standing, 0)
    census.opened(standing, FIRST, FIRST + 1)
    assert counted(census) == {FIRST: (1, 0)}
    census.leave(standing)
    assert (census.taken("e").streams, counted(census)) == (0, {FIRST: (0, 0)})


def test_a_stream_has_applied_what_its_sdk_says(census: Census) -> None:
    standing = opened(census, "sdk")
    assert not census.applied("another", FIRST, FIRST)
    assert census.applied("sdk", FIRST, FIRST + 5)
    census.track(SECOND)
    census.handed(standing, SECOND, SECOND + 3, True)
    assert counted(census) == {FIRST: (0, 1), SECOND: (1, 0)}
    census.applied("sdk", SECOND, SECOND + 12)
    assert counted(census) == {FIRST: (0, 0), SECOND: (1, 1)}
    assert last(census).handed_durations == {bucket_of(3): 1}
    assert last(census).applied_durations == {bucket_of(12): 1}


def test_a_report_that_is_doubled_or_late_changes_nothing(census: Census) -> None:
    standing = opened(census, "sdk")
    census.track(SECOND)
    census.handed(standing, SECOND, SECOND + 3, True)
    for revision, at in ((SECOND, 10), (SECOND, 900), (FIRST, 950)):
        assert census.applied("sdk", revision, SECOND + at)
    assert counted(census)[SECOND] == (1, 1)
    assert last(census).applied_durations == {bucket_of(10): 1}


def test_a_stream_of_an_sdk_that_reports_nothing_has_applied_what_it_was_handed(
    census: Census,
) -> None:
    standing = opened(census)
    census.track(SECOND)
    census.handed(standing, SECOND, SECOND + 7, True)
    assert counted(census) == {FIRST: (0, 0), SECOND: (1, 1)}
    assert last(census).applied_durations == {bucket_of(7): 1}


def test_who_resumes_has_applied_what_it_holds(census: Census) -> None:
    opened(census, "sdk", since=FIRST)
    assert counted(census) == {FIRST: (1, 1)}


def test_how_long_ago_a_change_was_when_a_stream_was_opened_is_no_time_of_its_rollout(
    census: Census,
) -> None:
    standing = census.join("sdk")
    census.track(SECOND)
    census.holds(standing, FIRST)
    census.opened(standing, SECOND, SECOND + 90_000)
    census.applied("sdk", SECOND, SECOND + 90_001)
    assert counted(census)[SECOND] == (1, 1)
    assert (last(census).handed_durations, last(census).applied_durations) == ({}, {})


def test_a_change_that_held_nothing_for_a_stream_is_applied_with_what_it_was_told_before(
    census: Census,
) -> None:
    current, behind = opened(census, "current"), opened(census, "behind")
    census.applied("current", FIRST, FIRST + 1)
    census.track(SECOND)
    for standing in (current, behind):
        census.handed(standing, SECOND, SECOND + 2, False)
    assert counted(census)[SECOND] == (2, 1)
    census.applied("behind", FIRST, SECOND + 40)
    assert counted(census)[SECOND] == (2, 2)


def test_a_report_that_overtakes_the_end_of_its_write_is_not_lost(census: Census) -> None:
    standing = opened(census, "sdk")
    census.track(SECOND)
    census.applied("sdk", SECOND, SECOND + 1)
    census.handed(standing, SECOND, SECOND + 2, True)
    assert counted(census)[SECOND] == (1, 1)


def test_several_changes_in_one_write_were_all_taken_by_then(census: Census) -> None:
    standing = opened(census)
    census.track(SECOND)
    census.track(THIRD)
    census.handed(standing, THIRD, THIRD + 1, True)
    _, second, third = census.taken("e").revisions
    assert second.handed_durations == {bucket_of(THIRD + 1 - SECOND): 1}
    assert third.handed_durations == {bucket_of(1): 1}


def test_old_revisions_are_forgotten_and_who_stands_there_is_behind(census: Census) -> None:
    standing = opened(census, "sdk")
    for revision in range(SECOND, SECOND + TRACKED_REVISIONS):
        census.track(revision)
    taken = census.taken("e")
    assert [each.revision for each in taken.revisions] == [
        *range(SECOND, SECOND + TRACKED_REVISIONS)
    ]
    assert (taken.streams, sum(each.handed for each in taken.revisions)) == (1, 0)
    newest = SECOND + TRACKED_REVISIONS - 1
    census.handed(standing, newest, newest, True)
    assert census.applied("sdk", newest, newest)
    assert counted(census)[newest] == (1, 1)
    assert sum(handed for handed, _ in counted(census).values()) == 1


def test_two_streams_of_one_instance_are_counted_apart(
    census: Census,
) -> None:
    former, current = opened(census, "sdk"), opened(census, "sdk")
    census.applied("sdk", FIRST, FIRST)
    assert counted(census) == {FIRST: (2, 2)}
    census.leave(former)
    assert census.applied("sdk", FIRST, FIRST)
    census.leave(current)
    assert not census.applied("sdk", FIRST, FIRST)
    assert counted(census) == {FIRST: (0, 0)}


def test_after_a_restored_backup_streams_are_counted_at_its_revision(census: Census) -> None:
    census.track(THIRD)
    reporting, silent = opened(census, "sdk", at=THIRD), opened(census, at=THIRD)
    census.applied("sdk", THIRD, THIRD)
    census.track(SECOND)
    assert counted(census) == {SECOND: (0, 0)}
    for standing in (reporting, silent):
        census.handed(standing, SECOND, SECOND + 1, True)
    assert counted(census) == {SECOND: (2, 1)}
    census.applied("sdk", SECOND, SECOND + 2)
    assert counted(census) == {SECOND: (2, 2)}


def test_a_revision_from_the_future_counts_as_the_newest(census: Census) -> None:
    opened(census, "sdk")
    census.applied("sdk", THIRD, FIRST)
    assert counted(census) == {FIRST: (1, 1)}
    opened(census, "from elsewhere", since=THIRD)
    assert counted(census) == {FIRST: (2, 1)}
