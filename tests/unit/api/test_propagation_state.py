from __future__ import annotations

from services.api.read.propagation_state import Spread, propagation_state
from services.storage.model.durations import bucket_of
from services.storage.model.progress import RevisionProgress, StreamProgress


def progress(
    streams: int, *revisions: tuple[int, int, int], environment_id: str = "e"
) -> StreamProgress:
    """Of revisions, each with how many streams were handed and have applied just this one."""
    return StreamProgress(
        environment_id, streams, tuple(RevisionProgress(*each, {}, {}) for each in revisions)
    )


def timed(revision: int, *durations: int) -> RevisionProgress:
    counts = {bucket_of(each): durations.count(each) for each in durations}
    return RevisionProgress(revision, len(durations), 0, counts, {})


def test_streams_at_or_past_the_revision_are_added_up_over_all_processes() -> None:
    state = propagation_state(
        [progress(9, (1, 2, 3), (2, 3, 2), (4, 4, 1)), progress(1, (1, 1, 1))], 2
    )
    assert (state.connected, state.delivered, state.applied) == (10, 7, 3)
    assert not state.complete


def test_a_change_is_complete_when_all_that_are_connected_have_applied_it() -> None:
    assert propagation_state([progress(2, (3, 2, 2)), progress(0, (1, 0, 0))], 2).complete
    assert not propagation_state([progress(2, (3, 2, 1))], 2).complete
    assert propagation_state([], 2).complete


def test_times_of_several_processes_are_one_distribution() -> None:
    fast = StreamProgress("e", 99, (RevisionProgress(1, 0, 0, {}, {}), timed(2, *[4] * 98, 5)))
    slow = StreamProgress("e", 1, (RevisionProgress(1, 0, 0, {}, {}), timed(2, 12)))
    assert propagation_state([fast, slow], 2).delivery == Spread(4, 5, 100)


def test_a_revision_that_came_together_with_a_later_one_took_until_that() -> None:
    taken = StreamProgress("e", 1, (RevisionProgress(1_000, 0, 0, {}, {}), timed(3_000, 7)))
    assert propagation_state([taken], 2_990).delivery == Spread(17, 17, 1)


def test_a_revision_that_is_no_longer_told_apart_has_no_times() -> None:
    taken = StreamProgress("e", 1, (timed(3_000, 7),))
    assert propagation_state([taken], 2_990).delivery == Spread(0, 0, 0)
