"""The checker finds what it is there to find: each test feeds it a history with one fault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from featmesh.engine.model import (
    Condition,
    Context,
    Flag,
    Operator,
    Rollout,
    Rule,
    Segment,
    Share,
    ValueType,
    Variation,
)
from tests.chaos.check import (
    Stored,
    check_reader,
    check_store,
    lost_updates,
    order_fault,
    staleness,
)
from tests.chaos.history import (
    Commit,
    ContradictoryAnswers,
    Environment,
    Item,
    ItemKey,
    Reader,
    Seen,
    State,
    key_of,
)
from tests.chaos.truth import Truth

SERVE_A = Rollout((Share("a", 100_000),))


def flag(key: str, revision: int, text: str = "", *, uses: str = "") -> Flag:
    conditions = (Condition("", Operator.IN_SEGMENT, (uses,)),) if uses else ()
    return Flag(
        key=key,
        value_type=ValueType.STRING,
        variations=(Variation("a", "A", text or f"{key} at {revision}"),),
        off_variation_id="a",
        fallthrough=SERVE_A,
        enabled=True,
        rules=(Rule("rule", "", conditions, SERVE_A),) if uses else (),
        revision=revision,
    )


def environment(*items: Item) -> Environment:
    """One commit for each item, at the item's revision."""
    made = Environment("blue", "id", 0)
    for item in items:
        made.add(Commit("blue", item.revision, ((key_of(item), item),)), at=float(item.revision))
    return made


ONE, TWO, THREE = flag("f", 1), flag("g", 2), flag("f", 3)
HISTORY = (ONE, TWO, THREE)
SEEN: tuple[tuple[int, tuple[Item, ...]], ...] = ((1, (ONE,)), (2, (ONE, TWO)), (3, (TWO, THREE)))


def state(*items: Item) -> dict[ItemKey, Item]:
    return {key_of(item): item for item in items}


def reader(*seen: tuple[int, tuple[Item, ...]]) -> Reader:
    made = Reader("sdk", "blue")
    for revision, items in seen:
        made.saw(revision, state(*items), at=float(revision))
    return made


def faults(*seen: tuple[int, tuple[Item, ...]]) -> list[str]:
    return check_reader(Truth.of_definitions(environment(*HISTORY)), reader(*seen))


def test_a_reader_that_saw_every_state_is_right() -> None:
    assert faults(*SEEN) == []


def test_a_reader_may_skip_to_a_later_state() -> None:
    assert faults(SEEN[2]) == []


def test_a_reader_that_stays_behind_is_found() -> None:
    (found,) = faults(*SEEN[:2])
    assert "ended at revision 2 and does not hold what is at 3" in found


def test_a_revision_that_falls_is_found() -> None:
    assert any("fell from revision 2 to 1" in each for each in faults(SEEN[1], SEEN[0], SEEN[2]))


def test_an_update_that_is_skipped_for_good_is_found() -> None:
    found = faults(SEEN[0], (3, (THREE,)))
    assert any("('flag', 'g') is missing" in each for each in found)


def test_a_deleted_item_that_stays_is_found() -> None:
    made = environment(ONE)
    made.add(Commit("blue", 2, ((key_of(ONE), None),)), at=2.0)
    found = check_reader(Truth.of_definitions(made), reader((1, (ONE,)), (2, (ONE,))))
    assert any("('flag', 'f') is there and must not be" in each for each in found)


def test_another_content_under_the_right_revision_is_found() -> None:
    wrong = flag("f", 3, "something else")
    found = faults((3, (TWO, wrong)))
    assert any("something else" in each for each in found)


def test_an_item_of_another_environment_is_found() -> None:
    foreign = flag("of-green", 2)
    found = faults(*SEEN[:2], (3, (TWO, THREE, foreign)))
    assert any("('flag', 'of-green') is there and must not be" in each for each in found)


def test_a_revision_that_nobody_wrote_is_found() -> None:
    assert any("revision 7, which nothing wrote" in each for each in faults(*SEEN, (7, (TWO,))))


def test_what_was_proved_in_an_earlier_trial_is_not_asked_again() -> None:
    made, sdk = environment(*HISTORY), reader(*SEEN)
    sdk.forget()
    made.forget()
    four = flag("h", 4)
    made.add(Commit("blue", 4, ((key_of(four), four),)), at=4.0)
    sdk.saw(4, state(TWO, THREE, four), at=4.0)
    assert check_reader(Truth.of_definitions(made), sdk) == []
    assert sdk.revision == made.revision == 4


def test_a_client_sdk_is_judged_by_what_the_engine_answers() -> None:
    truth = Truth.of_results(environment(*HISTORY), Context("ada"))
    right = Reader("user", "blue")
    right.saw(3, {"f": '"f at 3"', "g": '"g at 2"'}, at=3.0)
    assert check_reader(truth, right) == []
    wrong = Reader("user", "blue")
    wrong.saw(3, {"f": '"f at 1"', "g": '"g at 2"'}, at=3.0)
    assert any("f at 1" in each for each in check_reader(truth, wrong))


def stored(*items: Item, revision: int = 3, without: int = 0, **changed: Item) -> Stored:
    """A store with this history, but ``without`` one revision."""
    held = environment(*HISTORY)
    history = {key: each for key, each in held.commits.items() if key != without}
    state_of: State = state(*items) if items else state(TWO, THREE)
    return Stored(revision, state_of, history)


def test_a_store_that_holds_what_was_acknowledged_is_right() -> None:
    assert check_store(environment(*HISTORY), stored()) == []


def test_an_acknowledged_write_that_is_not_stored_is_found_and_counted() -> None:
    made, lacking = environment(*HISTORY), stored(without=2)
    (found,) = check_store(made, lacking)
    assert "revision 2 was acknowledged and is not in the store" in found
    assert lost_updates(made.commits, lacking, {}, []) == 1


def test_a_write_that_nobody_acknowledged_is_found() -> None:
    (found,) = check_store(environment(ONE, THREE), stored(THREE))[:1]
    assert "revision 2 is in the store and was never acknowledged" in found


def test_items_that_are_not_what_their_history_says_are_found() -> None:
    found = check_store(environment(*HISTORY), stored(TWO, ONE))
    assert any("f at 1" in each for each in found)


def test_two_answers_that_give_one_revision_two_contents_are_refused() -> None:
    made = environment(*HISTORY)
    other = replace(ONE, enabled=False)
    with pytest.raises(ContradictoryAnswers):
        made.add(Commit("blue", 1, ((key_of(other), other),)), at=1.0)


def test_updates_after_the_last_right_state_of_a_reader_count_as_lost() -> None:
    made = environment(*HISTORY)
    behind = reader(*SEEN[:1])
    truths = {"sdk": Truth.of_definitions(made)}
    assert lost_updates(made.commits, stored(), truths, [behind]) == 2
    assert lost_updates(made.commits, stored(), truths, [reader(*SEEN)]) == 0


def test_staleness_is_the_longest_time_from_a_commit_to_the_reader() -> None:
    seen = [Seen(1, 0, at=1.5), Seen(3, 0, at=4.0)]
    assert staleness({1: 1.0, 2: 2.0, 3: 3.0}, seen, since=0) == 2.0
    assert staleness({1: 1.0, 2: 2.0, 3: 3.0}, seen, since=2) == 1.0


def test_a_flag_that_comes_before_its_segment_is_found() -> None:
    members, user = Segment("s", "s"), flag("f", 1, uses="s")
    assert "before segment s" in order_fault([], [user, members])
    assert order_fault([], [members, user]) == ""
    assert order_fault(["s"], [user]) == ""
