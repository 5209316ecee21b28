"""What persons answer adds up in whatever order it comes, is forgotten in half a year, and keeps to its size."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from streams.journal.tables import Tables
from streams.profile.answers import Answers
from tests.support.profiles import law

DAY = 86_400_000
START = 1_700_000_000_000
NODES = ("a", "b", "c")


class Answer(NamedTuple):
    """An id answered at this time, which became known then."""

    node: str
    known: int
    time: int
    hour: int


@st.composite
def answers(draw: st.DrawFn) -> list[Answer]:
    """Answers over a year and a half, in the order in which they became known; some late, some ahead of their time."""
    days = sorted(draw(st.lists(st.integers(0, 540), max_size=40)))
    hours, shifts = st.integers(0, 23), st.sampled_from((0, 0, 1, 40, 200, -3))
    return [
        Answer(draw(st.sampled_from(NODES)), START + day * DAY, START + (day - draw(shifts)) * DAY, draw(hours))
        for day in days
    ]


def _weight(answer: Answer, now: int) -> Fraction:
    age = now // (30 * DAY) - min(answer.time, answer.known) // (30 * DAY)
    return Fraction(1, 2**age) if age < 6 else Fraction(0)


def _told(given_: list[Answer]) -> tuple[Tables, Answers]:
    tables = Tables()
    found = Answers(tables)
    for one in given_:
        found.answered(one.node, "sms", one.time, one.known)
        found.at_hour(one.node, one.hour, one.time, one.known)
    return tables, found


@law
@given(answers(), st.integers(0, 400), st.sets(st.sampled_from(NODES)))
def test_of_any_ids_it_is_what_all_their_answers_weigh_now(given_: list[Answer], later: int, nodes: set[str]) -> None:
    _, found = _told(given_)
    now = max((one.known for one in given_), default=START) + later * DAY
    theirs = [one for one in given_ if one.node in nodes]
    assert found.over(nodes, "sms", now)[1] == sum(_weight(one, now) for one in theirs)
    by_hour = [sum(_weight(one, now) for one in theirs if one.hour == hour) for hour in range(24)]
    assert found.by_hour(nodes, now) == by_hour


@law
@given(answers())
def test_no_row_holds_more_than_six_periods(given_: list[Answer]) -> None:
    tables, _ = _told(given_)
    for row in tables.table("answers").values():
        assert len({period for period, _, _ in row}) == len(row) <= 6
    for row in tables.table("hours").values():
        assert len({one[:2] for one in row}) == len(row) <= 6 * 24


def test_an_answer_counts_half_in_each_next_period_and_after_six_nothing() -> None:
    first = START - START % (30 * DAY)
    _, found = _told([Answer("a", first, first, 20)])
    told = [found.over({"a"}, "sms", first + age * 30 * DAY)[1] for age in range(7)]
    assert told == [Fraction(1, 2**age) for age in range(6)] + [0]
    assert found.by_hour({"a"}, first + 150 * DAY)[20] == Fraction(1, 32)
