"""Where a run of a journey went, where it stands, and why it was left.

In: stored moves of a person's runs, the decisions of one match. Out: the run in question, a `Finding`, lines.
Never: a step that nobody came to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.explain.case import Case, Finding, Point
from streams.explain.sending import Decided

_SHOWN = 12


class Moved(NamedTuple):
    """A stored move of a run: to which step ("": out of it), by what, since when."""

    run: str
    version: int
    entered_ms: int
    step: str
    why: str
    since_ms: int


_LEFT = {
    "finished": "all of its steps were done",
    "exited": "the person did what ends it",
    "merged": "the person turned out to be one who was inside before",
    "step_gone": "the new version has no step of that name",
    "given_up": "our own code raised at it, see the dead letters",
}


def of_match(moves: Sequence[Moved], history: Sequence[Decided]) -> list[Moved]:
    """The moves of the run that these decisions are of; of none, of the one that stands or else was entered last.

    A message is due when its step began, by which its run is known.
    """
    runs: dict[str, list[Moved]] = {}
    for move in moves:
        runs.setdefault(move.run, []).append(move)
    if history:
        sent = {(one.step.partition("/")[0], one.due_ms) for one in history if one.step}
        return next((path for path in runs.values() if any((move.step, move.since_ms) in sent for move in path)), [])
    return max(runs.values(), key=lambda path: (path[-1].step != "", path[0].entered_ms), default=[])


def entered(path: Sequence[Moved], case: Case) -> Finding:
    """Of a run that made no decision yet: where it stands, or why it was left."""
    last = path[-1]
    if last.step:
        return Finding("waiting", f"at step {last.step} of the journey since {case.at(last.since_ms)}: no message yet")
    left = f"left at {case.at(last.since_ms)}, after step {_before(path)}, without a message"
    return Finding("left", f"{left}: {_left(last.why)}")


def steps(path: Sequence[Moved], case: Case) -> list[Point]:
    """The run with its version, the steps that it came to, and where it stands."""
    if not path:
        return []
    last = path[-1]
    lines = [f"run {last.run}, version {last.version}, entered at {case.at(path[0].entered_ms)}"]
    lines += [f"and {len(path) - _SHOWN} earlier steps"] if len(path) > _SHOWN else []
    lines += [f"{case.at(move.since_ms)}  {move.step}, {move.why}" for move in path[-_SHOWN:] if move.step]
    if last.step:
        lines.append(f"stands at step {last.step} since {case.at(last.since_ms)}")
    else:
        lines.append(f"left from step {_before(path)} ({last.why}): {_left(last.why)}")
    return [Point(None, line) for line in lines]


def _before(path: Sequence[Moved]) -> str:
    """The step that was left."""
    return path[-2].step if len(path) > 1 else "?"


def _left(why: str) -> str:
    return _LEFT.get(why, f"a step exit says {why}")
