"""On which days rules on a date match, found by looking at every minute of every day.

In: what was told of whom and when, who became one or two. Out: matches. Never: code of `streams`; a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

Id = tuple[str, str, str]
HOME = "Asia/Shanghai"


@dataclass(frozen=True)
class Asked:
    """A rule: at which minute of the day, how many days after, what 29 February is in other years."""

    minute: int
    days: int
    leap: str


@dataclass(frozen=True)
class Said:
    """At a time somebody with these ids told a birthday or a zone; `cut`: the two ids are unlinked instead."""

    at: int
    ids: tuple[Id, ...]
    birthday: str = ""
    zone: str = ""
    cut: bool = False


@dataclass
class Calendar:
    """Goes through what was said, and through all days between."""

    asked: Asked
    said: Sequence[Said]
    matched: list[tuple[Id, int, int]] = field(default_factory=list)

    def run(self, until: int) -> list[tuple[Id, int, int]]:
        """Each match: whose word it was, the year, the instant."""
        before = 0
        for at, one in enumerate(self.said):
            self._pass(at, before, one.at)
            before = one.at
        self._pass(len(self.said), before, until)
        return self.matched

    def _pass(self, known: int, after: int, until: int) -> None:
        if not known:
            return
        found = []
        for person in self._persons(known):
            words = [(s.at, s.birthday, s.ids[0]) for s in self.said[:known] if s.birthday and s.ids[0] in person]
            zones = [(s.at, s.zone) for s in self.said[:known] if s.zone and s.ids[0] in person]
            for _, birthday, whose in [max(words)] if words else []:
                zone = ZoneInfo(max(zones)[1] if zones else HOME)
                found += [(at, whose, year, person) for at, year in self._days(birthday, zone, after, until)]
        for at, whose, year, person in sorted(found, key=lambda one: one[0]):
            if not any(other in person and year == of for other, of, _ in self.matched):
                self.matched.append((whose, year, at))

    def _days(self, birthday: str, zone: ZoneInfo, after: int, until: int) -> list[tuple[int, int]]:
        found = []
        day = datetime.fromtimestamp(after // 1000, UTC).date() - timedelta(2)
        while day <= datetime.fromtimestamp(until // 1000, UTC).date() + timedelta(2):
            shown = datetime(day.year, day.month, day.day, self.asked.minute // 60, self.asked.minute % 60, tzinfo=zone)
            at = round(shown.timestamp()) * 1000
            born = day - timedelta(self.asked.days)
            if after < at <= until and self._is(born, birthday[-5:]):
                found.append((at, born.year))
            day += timedelta(1)
        return found

    def _is(self, day: date, birthday: str) -> bool:
        leaps = (date(day.year, 3, 1) - timedelta(1)).strftime("%d") == "29"
        if birthday == "02-29" and not leaps:
            birthday = "02-28" if self.asked.leap == "feb_28" else "03-01"
        return day.strftime("%m-%d") == birthday

    def _persons(self, known: int) -> list[set[Id]]:
        cut = {frozenset(s.ids) for s in self.said[:known] if s.cut}
        persons: list[set[Id]] = []
        for one in self.said[:known]:
            groups = [{id_} for id_ in one.ids] if one.cut or frozenset(one.ids) in cut else [set(one.ids)]
            for group in groups:
                joined = [person for person in persons if person & group]
                persons = [person for person in persons if not person & group] + [group.union(*joined)]
        return persons
