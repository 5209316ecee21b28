"""The days of a person's own calendar: birthdays and the like, year by year.

In: what a trait says, such as 02-29 or 1990-05-17. Out: the day in a year. Never: a time; a zone.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from streams.rules.kinds import DateOf

_SAID = re.compile(r"^(?:\d{4}-)?(\d{2})-(\d{2})$")
_LEAP_YEAR, _LEAP_DAY = 2000, (2, 29)


def day_of_year(said: str) -> tuple[int, int] | None:
    """Month and day of a date written as MM-DD or YYYY-MM-DD; None for anything else."""
    match = _SAID.match(said)
    if match is None:
        return None
    month, day = int(match[1]), int(match[2])
    try:
        date(_LEAP_YEAR, month, day)
    except ValueError:
        return None
    return month, day


def day_in(year: int, said: str, asked: DateOf) -> date | None:
    """The day that a rule asks for, as it belongs to this year; None where the trait says no date."""
    found = day_of_year(said)
    if found is None:
        return None
    leaps = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if found == _LEAP_DAY and not leaps:
        found = (2, 28) if asked.leap == "feb_28" else (3, 1)
    return date(year, *found) + timedelta(asked.days)
