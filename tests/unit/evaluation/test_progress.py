"""What a census counts, without a server around it."""

from __future__ import annotations

import pytest

from services.evaluation.progress.tracker import TRACKED_REVISIONS, ProgressTracker, StreamPosition
from services.storage.model.durations import bucket_of
from services.storage.model.progress import RevisionProgress

FIRST, SECOND, THIRD = 1_000_000, 2_000_000, 3_000_000


@pytest.fixture
def progress() -> ProgressTracker:
    fresh = ProgressTracker()
    fresh.track(FIRST)
    return fresh


def opened(
    progress: ProgressTracker, instance_id: str = "", since: int = 0, at: int = FIRST
) -> StreamPosition:
    position = progress.join(instance_id)
    progress.holds(position, since)
    progress.opened(position, at, at + 500)
    return position


def counted(progress: ProgressTracker) -> dict[int, tuple[int, int]]:
    """Streams that stand at each revision: handed, applied."""
    return {each.revision: (each.delivered, each.applied) for each in progress.taken("e").revisions}


def last(progress: ProgressTracker) -> RevisionProgress:
    return progress.taken("e").revisions[-1]


def test_a_stream_counts_as_connected_from_the_first_and_as_handed_once_it_was_written(
    progress: ProgressTracker,
) -> None:
    position = progress.join("sdk")
    assert (progress.taken("e").streams, counted(progress)) == (1, {FIRST: (0, 0)})
    progress.holds(position, 0)
    progress.opened(position, FIRST, FIRST + 1)
    assert counted(progress) == {FIRST: (1, 0)}
    progress.leave(position)
    assert (progress.taken("e").streams, counted(progress)) == (0, {FIRST: (0, 0)})


def test_a_stream_has_applied_what_its_sdk_says(progress: ProgressTracker) -> None:
    position = opened(progress, "sdk")
    assert not progress.applied("another", FIRST, FIRST)
    assert progress.applied("sdk", FIRST, FIRST + 5)
    progress.track(SECOND)
    progress.delivered(position, SECOND, SECOND + 3, True)
    assert counted(progress) == {FIRST: (0, 1), SECOND: (1, 0)}
    progress.applied("sdk", SECOND, SECOND + 12)
    assert counted(progress) == {FIRST: (0, 0), SECOND: (1, 1)}
    assert last(progress).delivered_durations == {bucket_of(3): 1}
    assert last(progress).applied_durations == {bucket_of(12): 1}


def test_a_report_that_is_doubled_or_late_changes_nothing(progress: ProgressTracker) -> None:
    position = opened(progress, "sdk")
    progress.track(SECOND)
    progress.delivered(position, SECOND, SECOND + 3, True)
    for revision, at in ((SECOND, 10), (SECOND, 900), (FIRST, 950)):
        assert progress.applied("sdk", revision, SECOND + at)
    assert counted(progress)[SECOND] == (1, 1)
    assert last(progress).applied_durations == {bucket_of(10): 1}


def test_a_stream_of_an_sdk_that_reports_nothing_has_applied_what_it_was_handed(
    progress: ProgressTracker,
) -> None:
    position = opened(progress)
    progress.track(SECOND)
    progress.delivered(position, SECOND, SECOND + 7, True)
    assert counted(progress) == {FIRST: (0, 0), SECOND: (1, 1)}
    assert last(progress).applied_durations == {bucket_of(7): 1}


def test_who_resumes_has_applied_what_it_holds(progress: ProgressTracker) -> None:
    opened(progress, "sdk", since=FIRST)
    assert counted(progress) == {FIRST: (1, 1)}


def test_how_long_ago_a_change_was_when_a_stream_was_opened_is_no_time_of_its_rollout(
    progress: ProgressTracker,
) -> None:
    position = progress.join("sdk")
    progress.track(SECOND)
    progress.holds(position, FIRST)
    progress.opened(position, SECOND, SECOND + 90_000)
    progress.applied("sdk", SECOND, SECOND + 90_001)
    assert counted(progress)[SECOND] == (1, 1)
    assert (last(progress).delivered_durations, last(progress).applied_durations) == ({}, {})


def test_a_change_that_held_nothing_for_a_stream_is_applied_with_what_it_was_told_before(
    progress: ProgressTracker,
) -> None:
    current, behind = opened(progress, "current"), opened(progress, "behind")
    progress.applied("current", FIRST, FIRST + 1)
    progress.track(SECOND)
    for position in (current, behind):
        progress.delivered(position, SECOND, SECOND + 2, False)
    assert counted(progress)[SECOND] == (2, 1)
    progress.applied("behind", FIRST, SECOND + 40)
    assert counted(progress)[SECOND] == (2, 2)


def test_a_report_that_overtakes_the_end_of_its_write_is_not_lost(
    progress: ProgressTracker,
) -> None:
    position = opened(progress, "sdk")
    progress.track(SECOND)
    progress.applied("sdk", SECOND, SECOND + 1)
    progress.delivered(position, SECOND, SECOND + 2, True)
    assert counted(progress)[SECOND] == (1, 1)


def test_several_changes_in_one_write_were_all_taken_by_then(progress: ProgressTracker) -> None:
    position = opened(progress)
    progress.track(SECOND)
    progress.track(THIRD)
    progress.delivered(position, THIRD, THIRD + 1, True)
    _, second, third = progress.taken("e").revisions
    assert second.delivered_durations == {bucket_of(THIRD + 1 - SECOND): 1}
    assert third.delivered_durations == {bucket_of(1): 1}


def test_old_revisions_are_forgotten_and_who_stands_there_is_behind(
    progress: ProgressTracker,
) -> None:
    position = opened(progress, "sdk")
    for revision in range(SECOND, SECOND + TRACKED_REVISIONS):
        progress.track(revision)
    taken = progress.taken("e")
    assert [each.revision for each in taken.revisions] == [
        *range(SECOND, SECOND + TRACKED_REVISIONS)
    ]
    assert (taken.streams, sum(each.delivered for each in taken.revisions)) == (1, 0)
    newest = SECOND + TRACKED_REVISIONS - 1
    progress.delivered(position, newest, newest, True)
    assert progress.applied("sdk", newest, newest)
    assert counted(progress)[newest] == (1, 1)
    assert sum(delivered for delivered, _ in counted(progress).values()) == 1


def test_two_streams_of_one_instance_are_counted_apart(
    progress: ProgressTracker,
) -> None:
    former, current = opened(progress, "sdk"), opened(progress, "sdk")
    progress.applied("sdk", FIRST, FIRST)
    assert counted(progress) == {FIRST: (2, 2)}
    progress.leave(former)
    assert progress.applied("sdk", FIRST, FIRST)
    progress.leave(current)
    assert not progress.applied("sdk", FIRST, FIRST)
    assert counted(progress) == {FIRST: (0, 0)}


def test_after_a_restored_backup_streams_are_counted_at_its_revision(
    progress: ProgressTracker,
) -> None:
    progress.track(THIRD)
    reporting, silent = opened(progress, "sdk", at=THIRD), opened(progress, at=THIRD)
    progress.applied("sdk", THIRD, THIRD)
    progress.track(SECOND)
    assert counted(progress) == {SECOND: (0, 0)}
    for position in (reporting, silent):
        progress.delivered(position, SECOND, SECOND + 1, True)
    assert counted(progress) == {SECOND: (2, 1)}
    progress.applied("sdk", SECOND, SECOND + 2)
    assert counted(progress) == {SECOND: (2, 2)}


def test_a_revision_from_the_future_counts_as_the_newest(progress: ProgressTracker) -> None:
    opened(progress, "sdk")
    progress.applied("sdk", THIRD, FIRST)
    assert counted(progress) == {FIRST: (1, 1)}
    opened(progress, "from elsewhere", since=THIRD)
    assert counted(progress) == {FIRST: (2, 1)}
