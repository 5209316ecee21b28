"""Why what a person did made no sequence, no count and no interval.

In: the rule's clause, the events that count. Out: a `Finding`; None where they do make one. Never: state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from streams.explain.case import Case, Finding, Happening, Point, length
from streams.rules import kinds
from streams.rules.history import Entry
from streams.rules.interval import intervals
from streams.rules.sequence import sequences

_FOREVER = 1 << 60

Value = str | int


def history(
    kind: kinds.Kind, case: Case, passing: Sequence[Sequence[Happening]], points: Sequence[Point]
) -> Finding | None:
    """Why the events that count are not enough."""
    told = list(points)
    if isinstance(kind, kinds.Sequence):
        return _sequence(kind, _entries(passing), told)
    if isinstance(kind, kinds.Interval):
        return _interval(kind, _entries(passing), told)
    if isinstance(kind, kinds.Count):
        return _count(kind, case, passing[0], told)
    if isinstance(kind, kinds.Threshold):
        return _threshold(kind, case, passing[0], told)
    return None


def _entries(passing: Sequence[Sequence[Happening]]) -> list[Entry]:
    return [Entry(one.time_ms, number, one.event_id, 1, "") for number, met in enumerate(passing) for one in met]


def _sequence(kind: kinds.Sequence, entries: list[Entry], told: list[Point]) -> Finding | None:
    if next(sequences(entries, (), len(kind.steps), kind.within), None) is not None:
        return None
    longer = list(sequences(entries, (), len(kind.steps), _FOREVER))
    if not longer:
        return Finding("not_matched", "all steps happened, but not in this order", told)
    quickest = min(found.due_ms - found.anchor.time_ms for found in longer)
    sentence = f"out of the window: the steps took {length(quickest)}, and the rule allows {length(kind.within)}"
    return Finding("not_matched", sentence, told)


def _interval(kind: kinds.Interval, entries: list[Entry], told: list[Point]) -> Finding | None:
    if next(intervals(entries, (), kind.at_least or 0, kind.at_most), None) is not None:
        return None
    found = [one.due_ms - one.anchor.time_ms for one in intervals(entries, (), 0, _FOREVER)]
    if not found:
        return Finding("not_matched", f"no {kind.until} came after a {kind.since}", told)
    bounds = f"{length(kind.at_least or 0)} to {length(kind.at_most)}"
    lengths = ", ".join(length(one) for one in found[-3:])
    return Finding("not_matched", f"the time between them was {lengths}, and the rule asks for {bounds}", told)


def _count(kind: kinds.Count, case: Case, met: Sequence[Happening], told: list[Point]) -> Finding | None:
    measured = [(one, _value(kind, one)) for one in met]
    for one, value in measured:
        if value is None and isinstance(kind, kinds.Total | kinds.Distinct):
            told.append(Point(False, f"{case.told(one)}: it has no {kind.value} that counts"))
    best, until_ms = max(_windows(kind, [(one.time_ms, value) for one, value in measured if value is not None]))
    if best >= kind.at_least:
        return None
    what = {kinds.Total: "adds up to", kinds.Distinct: "has so many different values:"}.get(type(kind), "is")
    where = f" (in the {length(kind.within)} until {case.at(until_ms)})" if best else ""
    sentence = f"the most in any {length(kind.within)} {what} {best}{where}, and the rule asks for {kind.at_least}"
    return Finding("not_matched", sentence, [*told, *(Point(True, case.told(one)) for one in met[-5:])])


def _threshold(kind: kinds.Threshold, case: Case, met: Sequence[Happening], told: list[Point]) -> Finding | None:
    reported = [int(value) for one in met if (value := _value(kind, one)) is not None]
    if any(value >= kind.at_least for value in reported):
        return None
    most = f"the most that was reported is {max(reported)}" if reported else f"no {kind.value} that counts was reported"
    sentence = f"{most}, and the rule asks for {kind.at_least}"
    return Finding("not_matched", sentence, [*told, *(Point(True, case.told(one)) for one in met[-5:])])


def _windows(kind: kinds.Count, found: list[tuple[int, Value]]) -> Iterator[tuple[int, int]]:
    """The value at each event's time, with that time."""
    fold = _folds(kind)
    yield 0, 0
    for time_ms, _ in found:
        yield fold([value for at, value in found if time_ms - kind.within < at <= time_ms]), time_ms


def _folds(kind: kinds.Count) -> Callable[[list[Value]], int]:
    if isinstance(kind, kinds.Total):
        return lambda values: sum(map(int, values))
    return (lambda values: len(set(values))) if isinstance(kind, kinds.Distinct) else len


def _value(kind: kinds.Count | kinds.Threshold, happening: Happening) -> Value | None:
    if not isinstance(kind, kinds.Total | kinds.Distinct | kinds.Threshold):
        return 1
    name, _, key = kind.value.partition(".")
    value: Value | None = (happening.event[name] or {}).get(key) if key else happening.event[name]
    if isinstance(kind, kinds.Distinct) or value is None:
        return value if value is None else str(value)
    try:
        return int(value)
    except ValueError:
        return None
