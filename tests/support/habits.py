"""How persons answered what they were sent, worked out slowly: every message again from the beginning.

In: what was said so far. Out: how much a channel is liked, how good an hour is. Never: code of `streams`; a count that
is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from tests.support.history import History, Outcome
from tests.support.people import Node
from tests.support.walls import hour_of

THIRTY_DAYS = 30 * 86_400_000


class Habits:
    """Looks at all messages to a person."""

    def __init__(self, history: History) -> None:
        self._history = history

    def _got(self, person: set[Node]) -> Iterator[Outcome]:
        """Every message to these ids, also those that failed."""
        return (one for one in self._history.told if one.verdict == "sent" and one.to in person)

    def _weight(self, at: int, position: int, time: int) -> Fraction:
        """1 in these thirty days, half of it in those before, and nothing after six times that."""
        now, then = self._history.oracle.now(at), min(time, self._history.oracle.now(position))
        halvings = now // THIRTY_DAYS - then // THIRTY_DAYS
        return Fraction(1, 2**halvings) if halvings < 6 else Fraction(0)

    def liking(self, at: int, person: set[Node], channel: str) -> Fraction:
        """Answers less failures, by messages and four more."""
        good, all_of_them = Fraction(0), Fraction(4)
        for sent in self._got(person):
            if sent.channel == channel:
                all_of_them += self._weight(at, sent.at, sent.clock)
                answer, failure = self._history.answer(at, sent), self._history.failure(at, sent)
                good += self._weight(at, answer[0], answer[1].time) if answer else 0
                good -= self._weight(at, failure[0], failure[1].time) if failure else 0
        return good / all_of_them

    def worth(self, at: int, person: set[Node], hour: int) -> Fraction:
        """One, and half of each answer in this hour, and a quarter of each in the hours beside it."""
        found = Fraction(1)
        for sent in self._got(person):
            answer = self._history.answer(at, sent)
            if answer is not None and answer[1].status in ("opened", "clicked"):
                position, line = answer
                answered = hour_of(line.time, self._history.policy(position, sent.key[0]))
                apart = min((hour - answered) % 24, (answered - hour) % 24)
                found += self._weight(at, position, line.time) * {0: Fraction(1, 2), 1: Fraction(1, 4)}.get(apart, 0)
        return found
