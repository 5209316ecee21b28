"""What travellers got, and how they answered it, counted slowly: each message again for each question.

In: messages as they go out, what came back of them. Out: how much a channel is liked, the instant that is worth
waiting for. Never: code of `streams`; a sum that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from tests.support.travellers import DAY, HOUR, Answered, Id

THIRTY_DAYS = 30 * DAY


@dataclass
class Letter:
    """One attempt: to which id, over which channel, when; when it is known to have failed; its first answer, and when
    that became known."""

    message: tuple[str, str, str, int]
    to: Id
    channel: str
    sent: int
    failed: int | None = None
    answer: tuple[Answered, int] | None = None


@dataclass
class Mailbag:
    """All that went out."""

    letters: list[Letter] = field(default_factory=list)

    def _of(self, message: tuple[str, str, str, int]) -> Letter | None:
        return next((one for one in self.letters if one.message == message), None)

    def failed(self, message: tuple[str, str, str, int], now: int) -> None:
        """It could not be delivered."""
        letter = self._of(message)
        assert letter is not None
        letter.failed = now

    def answered(self, row: Answered, now: int) -> None:
        """It was opened, clicked or redeemed, if there is such a message."""
        letter = self._of((row.rule, row.step, row.event, row.attempt))
        if letter is not None and letter.answer is None:
            letter.answer = row, now

    def liking(self, person: set[Id], channel: str, now: int) -> Fraction:
        """Answers less failures, by messages and four more."""
        good, out = Fraction(0), Fraction(4)
        for one in self._got(person):
            if one.channel == channel:
                out += _weight(one.sent, one.sent, now)
                good += _weight(one.answer[0].time, one.answer[1], now) if one.answer is not None else 0
                good -= _weight(one.failed, one.failed, now) if one.failed is not None else 0
        return good / out

    def best_instant(self, person: set[Id], now: int, until: int, is_quiet: Callable[[int], bool]) -> int:
        """The first of the best full hours up to `until` but quiet ones, if it is twice as good as now; else now."""
        hours = [time for time in range((now // HOUR + 1) * HOUR, until + 1, HOUR) if not is_quiet(time)]
        worth = {time: self._worth(person, time, now) for time in (now, *hours)}
        best = min(hours, key=lambda time: (-worth[time], time), default=now)
        return best if worth[best] >= 2 * worth[now] else now

    def _worth(self, person: set[Id], time: int, now: int) -> Fraction:
        """One, and half of each answer in the hour of this time, and a quarter of each beside it."""
        found = Fraction(1)
        for one in self._got(person):
            if one.answer is not None and one.answer[0].status != "redeemed":
                apart = (time // HOUR - one.answer[0].time // HOUR) % 24
                found += _weight(one.answer[0].time, one.answer[1], now) * _NEAR.get(apart, 0)
        return found

    def _got(self, person: set[Id]) -> Iterator[Letter]:
        return (one for one in self.letters if one.to in person)


_NEAR = {0: Fraction(1, 2), 1: Fraction(1, 4), 23: Fraction(1, 4)}
"""By how many hours the answer lies before."""


def _weight(time: int, known: int, now: int) -> Fraction:
    """1 in these thirty days, half of it in those before, and nothing after six times that."""
    halvings = now // THIRTY_DAYS - min(time, known) // THIRTY_DAYS
    return Fraction(1, 2**halvings) if halvings < 6 else Fraction(0)
