"""How a run goes from step to step until it waits, sends or is over.

In: a run, where it is to go, since when. Out: its row, its timer, its message for delivery; moves. Never: who may
enter; what happens to a person.
"""

from __future__ import annotations

from dataclasses import replace

from streams.delivery.reasons import Why
from streams.engage.awaited import AwaitedEvents
from streams.engage.match import Match
from streams.engage.profile import Profiles
from streams.engage.records import Move, Records
from streams.engage.runs import Run, Runs
from streams.engage.sending import Sending
from streams.engage.stepping import Stepping
from streams.journal.clock import Clock
from streams.journal.tables import Tables
from streams.rules.book import Book, Compiled
from streams.rules.course import Course
from streams.rules.steps import END, JourneyStep
from streams.rules.timers import NOW, Timers

FINISHED = "finished"
"""The last step was done: what was sent may still go out over another channel, as it may while one is inside."""

GIVEN_UP = "given_up"
"""Our own code raised at it."""


class Travel:
    """Moves the runs of one shard."""

    def __init__(
        self,
        tables: Tables,
        book: Book,
        clock: Clock,
        *,
        timers: Timers,
        profiles: Profiles,
        sending: Sending,
        records: Records,
        runs: Runs,
        awaited: AwaitedEvents,
    ) -> None:
        self._meta = tables.table("meta")
        self._book = book
        self._clock = clock
        self._timers = timers
        self._profiles = profiles
        self._sending = sending
        self._records = records
        self._runs = runs
        self._awaited = awaited
        self._stepping = Stepping(profiles, sending)

    def go(self, run: Run, course: Course, step: str, at_ms: int, why: str) -> None:
        """Takes a run to a step, and on through all that take no time."""
        while step != END:
            run = replace(run, step=step, since_ms=at_ms, due_ms=0)
            self._note(run, why)
            spec = course.steps[step]
            if spec.exit is not None:
                self.leave(run, spec.exit)
                return
            if spec.emit is not None and (step, "sent") in run.path:  # where a version has it once more, further on
                step, why = course.next(step), "passed"
                continue
            passed = self._stepping.leads(run, course, spec)
            if passed is None:
                self._stay(run, course, spec)
                return
            run = replace(run, path=(*run.path, (step, passed)))
            step, why = passed, "passed"
        self.leave(run, FINISHED)

    def _stay(self, run: Run, course: Course, spec: JourneyStep) -> None:
        """Stays at a step that takes time: until a time, an event, or a verdict."""
        compiled = self.edition(run)
        assert compiled is not None
        if spec.emit is not None:
            run = replace(run, due_ms=run.since_ms)
            self._runs.put(run)
            emit = compiled.emits[run.step]
            self._sending.due(run.message(emit), emit)
            return
        run = replace(run, due_ms=self._stepping.due(run, spec))
        self._runs.put(run)
        group = NOW if spec.wait_for is None else course.group
        self._timers.set(run.key, run.due_ms, compiled.rule.priority, group)
        if spec.wait_for is not None:
            self.look(run, course)

    def look(self, run: Run, course: Course) -> bool:
        """Takes a run on that waits for an event which has come."""
        came = self._awaited.first(run.rule, self.members(run.nodes), run.at, run.since_ms, run.due_ms)
        if came is not None:
            self._timers.drop(run.key)
            self.on(run, course, course.next(run.step), came.time_ms, "came")
        return came is not None

    def on(self, run: Run, course: Course, step: str, at_ms: int, why: str) -> None:
        """Takes a run on from its step, and notes what came of that."""
        self.go(replace(run, path=(*run.path, (run.step, why))), course, step, at_ms, why)

    def leave(self, run: Run, why: str) -> None:
        """Ends a run, and with it a message that is not sent yet."""
        self._timers.drop(run.key)
        self._runs.drop(run)
        self._note(replace(run, step=""), why)
        pending = self.pending(run)
        if pending is not None:
            match, emit = pending
            self._timers.drop(match.key)
            self._sending.suppress(match, emit, Why.EXITED)
        for key in run.messages if why != FINISHED else ():
            self._sending.leave(key)

    def give_up(self, run: Run) -> None:
        """Ends a run without asking anything of it: what it sent is barred from going out once more."""
        self._timers.drop(run.key)
        self._runs.drop(run)
        self._note(replace(run, step=""), GIVEN_UP)
        for key in run.messages:
            self._sending.bar(key)

    def pending(self, run: Run) -> tuple[Match, Compiled] | None:
        """The message that the run waits for, with its rule."""
        compiled = self.edition(run)
        emit = None if compiled is None else compiled.emits.get(run.step)
        match = None if emit is None else self._sending.get(run.message(emit).key)
        return None if emit is None or match is None or not match.waits or match.tried else (match, emit)

    # Asking

    def members(self, nodes: tuple[str, ...]) -> list[str]:
        """All nodes of the person of these."""
        return self._profiles.around(nodes)

    def edition(self, run: Run) -> Compiled | None:
        """The version that it is under."""
        return self._book.edition(run.owner, run.rule, run.version)

    def course(self, run: Run) -> Course:
        """The steps of that version."""
        compiled = self.edition(run)
        assert compiled is not None
        assert compiled.course is not None
        return compiled.course

    def _note(self, run: Run, why: str) -> None:
        seq: int = self._meta.get("moves", 0) + 1
        self._meta.put("moves", seq)
        one_id, node_id = self._profiles.person(run.nodes)
        to = Move(run.step, why, run.since_ms, self._clock.now, seq)
        self._records.move(run.entry, run.version, one_id, node_id, to)
