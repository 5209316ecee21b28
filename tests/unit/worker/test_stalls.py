"""What counts as no progress, and what is rest."""

from __future__ import annotations

from typing import Any

import pytest

from streams.journal.frame import Partition
from streams.worker.stalls import OPENING_S, REBALANCE_S, Look, Stall, Stalls
from streams.worker.standing import Standing, State

ZERO, ONE = Partition("siyu.internal.journal", 0), Partition("siyu.internal.journal", 1)
LIMIT_S = 60.0


def look(passed_s: float = 10, turned_s: float | None = None, **more: Any) -> Look:
    """A look at one partition that stands at 5 of 9 unless told otherwise; its loop goes round."""
    look.turned += 1  # type: ignore[attr-defined]  # a loop that was seen at another time each look
    standings = more.get("standings", {ZERO: Standing(State.WORKING, 5)})
    ends = more.get("ends", {ZERO: 9, ONE: 9})
    turned = look.turned if turned_s is None else turned_s  # type: ignore[attr-defined]
    return Look(passed_s, turned, standings, more.get("committed", {}), ends)


look.turned = 0  # type: ignore[attr-defined]


def stuck(*looks: Look) -> list[Stall]:
    stalls = Stalls(LIMIT_S)
    for one in looks:
        stalls.look(one)
    return stalls.longer_than(1.0)


def standing(offset: int = 5, **more: Any) -> dict[Partition, Standing]:
    return {ZERO: Standing(more.pop("state", State.WORKING), offset, **more)}


def test_a_partition_that_stands_still_before_its_end_is_stuck_after_the_limit() -> None:
    assert stuck(*[look() for _ in range(6)]) == []
    (stall,) = stuck(*[look() for _ in range(7)])
    assert stall.part == ZERO
    said = "siyu.internal.journal/0 makes no progress: it stands at offset 5 for 60 s, its end is 9"
    assert stall.sentence == said


@pytest.mark.parametrize(
    "moved",
    [
        {"standings": standing(6)},
        {"standings": standing(5, pulse=1)},
        {"committed": {ZERO: 6}},
        {"ends": {ZERO: 5}},
        {"ends": {}},
        {"standings": standing(5, state=State.WAITING, why="ClickHouse")},
        {"standings": standing(5, state=State.HALTED, why="ValueError")},
        {"standings": {}},
    ],
)
def test_what_moves_or_rests_once_begins_anew(moved: dict[str, Any]) -> None:
    assert stuck(*[look() for _ in range(6)], look(**moved), *[look() for _ in range(5)]) == []


def test_a_commit_that_is_behind_does_not_hide_that_the_lane_is_ahead() -> None:
    seen = look(standings=standing(9), committed={ZERO: 2})
    assert (seen.at(ZERO), seen.lag(ZERO)) == (9, 0)


def test_a_partition_of_which_nothing_is_known_to_be_safe_stands_at_its_start() -> None:
    seen = look(standings=standing(-1))
    assert (seen.at(ZERO), seen.lag(ZERO)) == (0, 9)


def test_one_partition_that_moves_does_not_hide_another_that_does_not() -> None:
    both = [look(standings={**standing(5), ONE: Standing(State.WORKING, at)}) for at in range(7)]
    assert [stall.part for stall in stuck(*both)] == [ZERO]


def test_opening_may_take_longer() -> None:
    opening = [look(standings=standing(-1, state=State.OPENING)) for _ in range(8)]
    assert stuck(*opening) == []
    (stall,) = stuck(*opening, look(OPENING_S, standings=standing(-1, state=State.OPENING)))
    assert "is opening" in stall.sentence


def test_opening_may_take_as_long_as_it_likes_while_it_gets_on() -> None:
    opening = [look(OPENING_S / 2, standings=standing(-1, state=State.OPENING, pulse=at)) for at in range(9)]
    assert stuck(*opening) == []


def test_a_loop_that_does_not_go_round_is_stuck_whatever_the_lag() -> None:
    (stall,) = stuck(*[look(turned_s=0.5, ends={ZERO: 5}) for _ in range(7)])
    assert stall.sentence == "its loop has not gone round for 60 s"


def test_a_loop_that_has_not_begun_is_not_stuck() -> None:
    assert stuck(*[look(turned_s=0, ends={ZERO: 5}) for _ in range(9)]) == []


def test_who_waits_for_partitions_may_do_so_for_a_rebalance_longer() -> None:
    waiting = [look(standings=None) for _ in range(7)]
    assert stuck(*waiting) == []
    (stall,) = stuck(*waiting, look(REBALANCE_S, standings=None))
    assert "to be told its partitions" in stall.sentence


def test_time_before_the_broker_was_away_is_forgotten() -> None:
    stalls = Stalls(LIMIT_S)
    for _ in range(6):
        stalls.look(look())
    stalls.forget()
    stalls.look(look())
    assert stalls.longer_than(0.5) == []


def test_what_has_no_records_left_is_acquitted() -> None:
    stalls = Stalls(LIMIT_S)
    for _ in range(7):
        stalls.look(look())
    stalls.acquit(ZERO)
    assert stalls.longer_than(0.5) == []
    assert stalls.stalled_s() == {ZERO: 0.0}


def test_without_a_limit_nothing_is_ever_stuck() -> None:
    stalls = Stalls(0)
    for _ in range(100):
        stalls.look(look(1000, turned_s=1))
    assert stalls.longer_than(0.0) == []
