"""Why a rule did not match for a person: which condition fails on which event.

In: the rule, what happened, how far the log is read. Out: a `Finding`. Never: state; a guess: where the log says that
it should have matched, that is what is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.explain.absence import absence
from streams.explain.case import Case, Finding, Happening, Point, length
from streams.explain.failing import failing
from streams.explain.histories import history
from streams.rules import kinds
from streams.rules.book import Compiled
from streams.rules.history import LATE_MS

_SHOWN = 5


def never_matched(compiled: Compiled, case: Case) -> Finding:
    """Why there is no decision of this rule on the person (and the order)."""
    kind = compiled.rule.when.kind
    if isinstance(kind, kinds.DateOf):
        since = f"none came since the rule did, which was at {case.at(case.since_ms)}, or nobody told one"
        return Finding("waiting", f"the day is what trait {kind.trait} says: {since}")
    passing, points = _passing(compiled, case)
    missing = _missing(compiled, case, passing)
    if missing is not None:
        return Finding("not_matched", missing, points or _others(compiled, case))
    if isinstance(kind, kinds.Absence):
        return absence(kind, case, passing, points)
    if isinstance(kind, kinds.Happened):
        return _happened(kind, case, passing[0], points)
    return history(kind, case, passing, points) or not_stored(points)


def not_stored(points: Sequence[Point]) -> Finding:
    """All conditions hold, and no decision is there."""
    hint = Point(None, "a sink that is behind, or a rule that was another one then, explains it: `siyu doctor`")
    return Finding("not_stored", "by the log it matched, and no decision is stored", [*points, hint])


Passing = list[list[Happening]]
"""By clause of the rule: the events that meet it."""


def _passing(compiled: Compiled, case: Case) -> tuple[Passing, list[Point]]:
    """The events that meet each clause, and a line on each that does not."""
    passing: Passing = []
    points: list[Point] = []
    for _, types, where in compiled.rule.when.kind.clauses:
        heard = [happening for happening in _in_question(compiled, case) if happening.event_type in types]
        reasons = [(happening, _why_not(happening, where, compiled, case)) for happening in heard]
        passing.append([happening for happening, why in reasons if not why])
        failed = [Point(False, f"{case.told(happening)}: {why}") for happening, why in reasons if why]
        points += _last(failed)
    return passing, points


def _last(points: Sequence[Point]) -> Iterator[Point]:
    if len(points) > _SHOWN:
        yield Point(None, f"and {len(points) - _SHOWN} earlier ones that fail")
    yield from points[-_SHOWN:]


def _why_not(happening: Happening, where: str, compiled: Compiled, case: Case) -> str:
    """Why this event does not count for the clause with this condition; "" where it does."""
    kind = compiled.rule.when.kind
    on_order = _on_order(compiled)
    late_ms = happening.received_ms - happening.time_ms
    reasons = (
        (failing(where, happening.event), True),
        ("it has no order_id", on_order and not happening.order_id),
        ("it belongs to another person", not happening.own and not on_order),
        (f"it came before the rule did, which was at {case.at(case.since_ms)}", happening.received_ms < case.since_ms),
        (f"it came {length(late_ms)} late; more than {length(LATE_MS)} makes no match", _late(kind, late_ms)),
    )
    return next((why for why, applies in reasons if why and applies), "")


def _in_question(compiled: Compiled, case: Case) -> list[Happening]:
    """The events of the order that was asked about, where the rule is about orders and one was named; else all."""
    if not case.order or not _on_order(compiled):
        return list(case.happened)
    return [happening for happening in case.happened if happening.order_id == case.order]


def _on_order(compiled: Compiled) -> bool:
    kind = compiled.rule.when.kind
    return isinstance(kind, kinds.Absence) and kind.same == "order_id"


def _others(compiled: Compiled, case: Case) -> list[Point]:
    """What the person did for other orders, where there is nothing of the one that was asked about."""
    types = compiled.rule.when.kind.clauses[0][1]
    orders = [one.order_id for one in case.happened if one.event_type in types and one.order_id != case.order]
    named = ", ".join(dict.fromkeys(orders[-_SHOWN:]))
    return [Point(None, f"other orders of this person: {named}")] if named else []


def _late(kind: kinds.Kind, late_ms: int) -> bool:
    return not isinstance(kind, kinds.Absence | kinds.Happened) and late_ms > LATE_MS


def _missing(compiled: Compiled, case: Case, passing: Passing) -> str | None:
    """The first clause that no event meets, of those that must be met."""
    kind = compiled.rule.when.kind
    clauses = kind.clauses[:1] if isinstance(kind, kinds.Absence) else kind.clauses
    for number, ((_, types, _), met) in enumerate(zip(clauses, passing, strict=False), 1):
        if not met:
            return _sentence(compiled, case, types, f"step {number} of {len(clauses)}: " if len(clauses) > 1 else "")
    return None


def _sentence(compiled: Compiled, case: Case, types: Sequence[str], step: str) -> str:
    names = " or ".join(types)
    heard = sum(happening.event_type in types for happening in _in_question(compiled, case))
    whose = f"order {case.order}" if case.order and _on_order(compiled) else "this person"
    if not heard:
        return f"{step}no {names} of {whose} has come"
    return f"{step}no {names} of {whose} meets the rule ({heard} came)"


def _happened(kind: kinds.Happened, case: Case, met: Sequence[Happening], points: list[Point]) -> Finding:
    newest = max(met, key=lambda happening: happening.time_ms)
    due_ms = newest.time_ms + (kind.wait or 0)
    told = [*points, Point(True, case.told(newest))]
    if due_ms > case.now_ms:
        return Finding("waiting", f"due at {case.at(due_ms)}; the log is at {case.at(case.now_ms)}", told)
    return not_stored(told)
