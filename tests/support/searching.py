"""What rules over a history match, found by trying everything, after each event anew.

In: events in the order in which they came. Out: what has matched, in order. Never: code of `streams`; a short cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

from tests.support.frames import Ev

Ids = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Asked:
    """A rule: its kind, event types by step, threshold (of an interval: the least time) and time in milliseconds."""

    name: str
    kind: str
    types: tuple[str, ...]
    at_least: int
    within: int


@dataclass(frozen=True)
class Hit:
    """A match: when it was found (the number of the event), when it became true, by which events."""

    at: int
    due: int
    rule: str
    cause: tuple[str, ...]


@dataclass
class Search:
    """Goes through the events; `marked` is what has matched: rule, id of the person, time."""

    rules: Sequence[Asked]
    events: Sequence[Ev]
    hits: list[Hit] = field(default_factory=list)
    marked: list[tuple[str, str, int]] = field(default_factory=list)

    def run(self) -> list[Hit]:
        """All hits, in the order in which they are decided."""
        for at in range(len(self.events)):
            found = [hit for rule in self.rules for hit in self._new(rule, at)]
            self.hits += sorted(found, key=lambda hit: (hit.due, hit.rule, hit.cause[-1]))
        return self.hits

    def persons(self, at: int) -> list[set[str]]:
        """Everyone after this event, as sets of ids."""
        persons: list[set[str]] = []
        for event in self.events[: at + 1]:
            ids = {"|".join(one) for one in event.ids}
            joined = [person for person in persons if person & ids]
            persons = [person for person in persons if not person & ids] + [ids.union(*joined)]
        return persons

    def _new(self, rule: Asked, at: int) -> Iterator[Hit]:
        ids = {"|".join(one) for one in self.events[at].ids}
        person = next(person for person in self.persons(at) if person & ids)
        seen = [one for one in self.events[: at + 1] if {"|".join(i) for i in one.ids} & person]
        theirs = sorted((one for one in seen if one.type in rule.types), key=lambda one: (_time(one), one.id))
        while (found := self._first(rule, theirs, person)) is not None:
            anchor, due, cause, mark = found
            self.marked.append((rule.name, "|".join(anchor.ids[0]), mark))
            yield Hit(at, due, rule.name, tuple(one.id for one in cause))

    def _first(self, rule: Asked, theirs: list[Ev], person: set[str]) -> tuple[Ev, int, list[Ev], int] | None:
        marks = [time for name, of, time in self.marked if name == rule.name and of in person]
        ways = {"sequence": _sequence, "interval": _interval, "threshold": _threshold}
        return ways.get(rule.kind, _crossing)(rule, theirs, marks)


def _time(event: Ev) -> int:
    return event.at if event.time is None else event.time


def _sequence(rule: Asked, theirs: list[Ev], marks: list[int]) -> tuple[Ev, int, list[Ev], int] | None:
    last = max(marks, default=-1)
    steps = [[one for one in theirs if one.type == kind and _time(one) > last] for kind in rule.types]
    chains = [
        chain
        for chain in product(*steps)
        if all(_time(a) <= _time(b) for a, b in pairwise(chain)) and _time(chain[-1]) - _time(chain[0]) <= rule.within
    ]
    if not chains:
        return None
    best = min(
        chains, key=lambda chain: (_time(chain[-1]), chain[-1].id, -_time(chain[0]), [(_time(x), x.id) for x in chain])
    )
    return best[0], _time(best[-1]), list(best), _time(best[-1])


def _interval(rule: Asked, theirs: list[Ev], marks: list[int]) -> tuple[Ev, int, list[Ev], int] | None:
    since = [one for one in theirs if one.type == rule.types[0]]
    until = [one for one in theirs if one.type == rule.types[1]]
    for end in until:
        before = [one for one in since if _time(one) <= _time(end)]
        if not before:
            continue
        nearest = max(_time(one) for one in before)
        begin = next(one for one in before if _time(one) == nearest)
        earlier = [one for one in until if (_time(one), one.id) < (_time(end), end.id) and _time(one) >= nearest]
        fits = rule.at_least <= _time(end) - nearest <= rule.within
        if fits and not earlier and nearest not in marks:
            return begin, _time(end), [begin, end], nearest
    return None


def _threshold(rule: Asked, theirs: list[Ev], marks: list[int]) -> tuple[Ev, int, list[Ev], int] | None:
    def high(time: int) -> bool:
        told = [one for one in theirs if _time(one) <= time]
        last = max(told, key=lambda one: (_time(one), one.id), default=None)
        return last is not None and (last.fen or 0) >= rule.at_least

    for one in theirs:
        start = _time(one)
        if high(start) and not high(start - 1):
            last = max((each for each in theirs if _time(each) == start), key=lambda each: each.id)
            end = min(
                (_time(each) for each in theirs if _time(each) > start and not high(_time(each))), default=start * 2
            )
            if not any(start <= mark < end for mark in marks):
                return last, start, [last], start
    return None


def _crossing(rule: Asked, theirs: list[Ev], marks: list[int]) -> tuple[Ev, int, list[Ev], int] | None:
    def inside(time: int) -> list[Ev]:
        return [one for one in theirs if time - rule.within < _time(one) <= time]

    def high(time: int) -> bool:
        there = inside(time)
        value = {
            "count": len(there),
            "sum": sum(one.fen or 0 for one in there),
            "distinct": len({one.item for one in there}),
        }[rule.kind]
        return value >= rule.at_least

    for one in theirs:
        start = _time(one)
        if high(start) and not high(start - 1):
            falls = [_time(other) + rule.within for other in theirs if _time(other) + rule.within > start]
            end = min(time for time in falls if not high(time))
            if not any(start <= mark < end for mark in marks):
                return one, start, inside(start)[-20:], start
    return None


Said = tuple[str, int, tuple[str, ...]]
"""Verdict, due time, events."""


@dataclass
class Waited:
    """What comes of one absence on the person: goes through the events, trying everything after each."""

    rule: Asked
    events: Sequence[Ev]
    told: list[Said] = field(default_factory=list)
    matched: list[Ev] = field(default_factory=list)
    decided: set[str] = field(default_factory=set)

    def run(self) -> list[Said]:
        """All that was decided, in order."""
        for at, event in enumerate(self.events):
            self._settle(at - 1, event.at)
            if event.type == self.rule.types[1]:
                self._late(at, event)
            self._found(at)
            self._settle(at, event.at)
        return self.told

    def _theirs(self, at: int, of: Ev) -> list[Ev]:
        ids = {"|".join(one) for one in of.ids}
        person = next(person for person in Search((), self.events).persons(at) if person & ids)
        return [one for one in self.events[: at + 1] if {"|".join(i) for i in one.ids} & person]

    def _settle(self, at: int, clock: int) -> None:
        begun = [one for one in self.events[: at + 1] if one.type == self.rule.types[0] and one.id not in self.decided]
        for anchor in sorted(begun, key=lambda one: (_time(one), one.id)):
            if clock > _time(anchor) + self.rule.within:
                self.decided.add(anchor.id)
                self._decide(anchor, self._theirs(at, anchor))

    def _decide(self, anchor: Ev, theirs: list[Ev]) -> None:
        due = _time(anchor) + self.rule.within
        if any(one in theirs and abs(_time(one) - _time(anchor)) <= self.rule.within for one in self.matched):
            return
        kind = self.rule.types[1]
        ends = [(_time(one), one.id) for one in theirs if one.type == kind and _time(one) >= _time(anchor)]
        if not ends:
            self.matched.append(anchor)
            self.told.append(("sent", due, (anchor.id,)))
        elif min(ends)[0] > due:
            self.told.append(("suppressed", due, (anchor.id, min(ends)[1])))

    def _found(self, at: int) -> None:
        """An event may show that somebody who had done it is the same person."""
        for anchor in self.matched:
            theirs = [one for one in self._theirs(at, anchor) if one.type == self.rule.types[1]]
            ends = [one for one in theirs if _time(one) >= _time(anchor)]
            if ends:
                self._ended(anchor, min(ends, key=lambda one: (_time(one), one.id)))

    def _late(self, at: int, event: Ev) -> None:
        for anchor in self.matched:
            if anchor in self._theirs(at, event) and _time(event) >= _time(anchor):
                self._ended(anchor, event)

    def _ended(self, anchor: Ev, end: Ev) -> None:
        due = _time(anchor) + self.rule.within
        said = [one[0] for one in self.told if one[2][0] == anchor.id]
        if _time(end) <= due and said[-1] in ("sent", "converted"):
            self.told.append(("revoked", due, (anchor.id, end.id)))
        elif _time(end) > due and said[-1] == "sent":
            self.told.append(("converted", due, (anchor.id, end.id)))
