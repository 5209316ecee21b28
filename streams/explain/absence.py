"""Why a wait for what does not come made no match.

In: the rule's clause, the events that begin and end a wait. Out: a `Finding`. Never: state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.explain.case import Case, Finding, Happening, Point, length
from streams.rules import kinds


def absence(
    kind: kinds.Absence, case: Case, passing: Sequence[Sequence[Happening]], points: Sequence[Point]
) -> Finding:
    """Prevented, waiting still, or not stored; of several waits the one that began last."""
    anchor, others = _anchor(kind, passing[0])
    due_ms = anchor.time_ms + kind.within
    told = [*points, Point(True, f"{case.told(anchor)}: the wait of {length(kind.within)} begins")]
    if others:
        told.append(Point(None, f"{others} other waits are not shown here: name an order to see it"))
    ended = next(_ends(kind, anchor, passing[1]), None)
    if ended is not None and ended.time_ms <= due_ms:
        told.append(Point(False, f"{case.told(ended)}: in time, which was until {case.at(due_ms)}"))
        return Finding("prevented", f"{ended.event_type} came in time", told)
    if case.clock_ms <= due_ms and not (kind.patience and case.now_ms >= due_ms + kind.patience):
        behind = [source for source, time_ms in case.progress.items() if time_ms <= due_ms]
        told += [Point(False, _behind(case, source)) for source in behind]
        if kind.patience:
            told.append(Point(None, f"it waits for them until {case.at(due_ms + kind.patience)}"))
        return Finding("waiting", f"not all sources are read past {case.at(due_ms)}", told)
    hint = Point(
        None, "no decision is stored: the sink may be behind (`siyu doctor`), or the rule was another one then"
    )
    return Finding("not_stored", f"by the log it was due at {case.at(due_ms)}", [*told, hint])


def _anchor(kind: kinds.Absence, begun: Sequence[Happening]) -> tuple[Happening, int]:
    """The event that begins the wait that began last, and how many other waits there are."""
    if kind.same == "person":
        return max(begun, key=lambda one: one.time_ms), len(begun) - 1
    first: dict[str, Happening] = {}
    for happening in sorted(begun, key=lambda one: one.time_ms):
        first.setdefault(happening.order_id, happening)
    return max(first.values(), key=lambda one: one.time_ms), len(first) - 1


def _ends(kind: kinds.Absence, anchor: Happening, ended: Sequence[Happening]) -> Iterator[Happening]:
    for happening in sorted(ended, key=lambda one: one.time_ms):
        if kind.same == "order_id":
            if happening.order_id == anchor.order_id:
                yield happening
        elif happening.own and happening.time_ms >= anchor.time_ms:
            yield happening


def _behind(case: Case, source: str) -> str:
    time_ms = case.progress[source]
    return f"{source} is read to {case.at(time_ms)}" if time_ms else f"{source} has not been heard of"
