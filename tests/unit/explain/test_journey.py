"""Where a run went: which run is meant, where it stands, why it was left."""

from __future__ import annotations

import pytest

from streams.delivery.zones import zone
from streams.explain.case import Case
from streams.explain.journey import Moved, entered, of_match, steps
from streams.explain.sending import Decided, decided

HOUR = 3_600_000
NOON = 1_700_020_800_000
FIRST = [
    Moved("r1", 1, NOON, "settle", "entered", NOON),
    Moved("r1", 1, NOON, "claim", "came", NOON + HOUR),
    Moved("r1", 1, NOON, "", "exited", NOON + HOUR),
]
SECOND = [Moved("r2", 2, NOON + 2 * HOUR, "settle", "entered", NOON + 2 * HOUR)]


def case() -> Case:
    where = zone("Asia/Shanghai")
    assert where is not None
    return Case((), "", 0, NOON, {}, where)


def decision(due_ms: int, step: str = "gift") -> Decided:
    return Decided("t1", 1, "", "sent", "matched", due_ms, due_ms, ("e1",), step)


def test_inside_a_journey_and_out_of_it_without_a_message() -> None:
    inside, left = entered(SECOND, case()), entered(FIRST, case())
    assert (inside.state, left.state) == ("waiting", "left")
    assert inside.headline == "at step settle of the journey since 2023-11-15 14:00:00: no message yet"
    told = "left at 2023-11-15 13:00:00, after step claim, without a message: the person did what ends it"
    assert left.headline == told


def test_the_run_of_a_decision_is_the_one_whose_step_began_when_the_message_was_due() -> None:
    both = [*SECOND, *FIRST]
    assert of_match(both, [decision(NOON + HOUR, "claim")]) == FIRST
    assert of_match(both, [decision(NOON + 2 * HOUR, "settle/fallback-1")]) == SECOND
    assert of_match(both, [decision(NOON + HOUR, "settle")]) == []


def test_without_a_decision_it_is_the_run_that_stands_else_the_one_entered_last() -> None:
    assert of_match([*SECOND, *FIRST], []) == SECOND
    over = [*SECOND, Moved("r2", 2, NOON + 2 * HOUR, "", "finished", NOON + 3 * HOUR)]
    assert of_match([*FIRST, *over], []) == over


def test_a_match_that_did_not_enter_has_no_run() -> None:
    assert of_match(FIRST, [decision(NOON + HOUR, step="")]) == []
    assert steps([], case()) == []


def test_the_steps_of_a_run_are_told_with_why_it_was_left() -> None:
    assert [point.text for point in steps(FIRST, case())] == [
        "run r1, version 1, entered at 2023-11-15 12:00:00",
        "2023-11-15 12:00:00  settle, entered",
        "2023-11-15 13:00:00  claim, came",
        "left from step claim (exited): the person did what ends it",
    ]


@pytest.mark.parametrize(("why", "told"), [("enough", "a step exit says enough"), ("merged", "who was inside before")])
def test_why_a_run_was_left_is_a_sentence(why: str, told: str) -> None:
    assert told in steps([*FIRST[:2], Moved("r1", 1, NOON, "", why, NOON)], case())[-1].text


def test_of_a_long_run_the_last_steps_are_told() -> None:
    path = [Moved("r1", 1, NOON, f"s{number}", "waited", NOON) for number in range(20)]
    assert [point.text for point in steps(path, case())][1:3] == [
        "and 8 earlier steps",
        "2023-11-15 12:00:00  s8, waited",
    ]


def test_a_decision_names_its_step_first() -> None:
    assert decided([decision(NOON)], [], case()).headline == "step gift, at 2023-11-15 12:00:00: all conditions held"
