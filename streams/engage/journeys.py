"""Journeys: where each run stands, and what takes it on: time, events, what became of a message, merges, new versions.

In: matches that begin a journey, events, due timers, verdicts, who became whose. Out: messages for delivery, moves.
Never: a channel; two runs of one journey for one person: the one that entered first stays.

A run goes by event times: a step begins when the one before it ended, however late that became known. A message is
waited for until it is sent or suppressed. Who leaves gets nothing more: a message that was deferred is suppressed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from streams.delivery.decide import Defer, Send
from streams.delivery.reasons import Why
from streams.engage.awaited import AwaitedEvents, Came
from streams.engage.entrance import Entrance
from streams.engage.match import Match
from streams.engage.profile import Profiles
from streams.engage.records import Move, Records
from streams.engage.runs import Run, Runs, begun, key_of
from streams.engage.sending import Sending
from streams.engage.stepping import Stepping
from streams.journal.clock import Clock
from streams.journal.tables import Tables
from streams.rules.absence import Seen
from streams.rules.book import Book, Compiled
from streams.rules.course import Course
from streams.rules.steps import END, JourneyStep
from streams.rules.timers import NOW, Timers


class Journeys:
    """All runs of one shard."""

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
    ) -> None:
        self.runs = Runs(tables)
        self._awaited = AwaitedEvents(tables, clock, timers)
        self._stepping = Stepping(profiles, sending)
        self._entrance = Entrance(tables, clock, sending, self.runs)
        self._meta = tables.table("meta")
        self._book = book
        self._clock = clock
        self._timers = timers
        self._profiles = profiles
        self._sending = sending
        self._records = records
        sending.begin = self.begin

    # Entering and leaving

    def begin(self, match: Match, compiled: Compiled) -> None:
        """A match has its person enter, unless something bars it: then that is the decision."""
        course = compiled.course
        assert course is not None
        why = self._entrance.bars(match, compiled, self._of(match.nodes))
        if why is not None:
            self._sending.suppress(match, compiled, why)
            return
        self._sending.dismiss(match)
        self._entrance.enter(match, compiled)
        run = begun(match, compiled)
        self._go(run, course, course.first, match.due_ms, "entered")

    def _leave(self, run: Run, why: str) -> None:
        """Ends a run, and with it a message that is not sent yet."""
        self._timers.drop(run.key)
        self.runs.drop(run)
        self._note(replace(run, step=""), why)
        pending = self._pending(run)
        if pending is not None:
            match, emit = pending
            self._timers.drop(match.key)
            self._sending.suppress(match, emit, Why.EXITED)

    def _pending(self, run: Run) -> tuple[Match, Compiled] | None:
        """The message that the run waits for, with its rule."""
        compiled = self._edition(run)
        emit = None if compiled is None else compiled.emits.get(run.step)
        match = None if emit is None else self._sending.get(run.message(emit).key)
        return None if emit is None or match is None or not match.waits or match.tried else (match, emit)

    # Going on

    def _go(self, run: Run, course: Course, step: str, at_ms: int, why: str) -> None:
        """Takes a run to a step, and on through all that take no time."""
        while step != END:
            run = replace(run, step=step, since_ms=at_ms, due_ms=0)
            self._note(run, why)
            spec = course.steps[step]
            if spec.exit is not None:
                self._leave(run, spec.exit)
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
        self._leave(run, "finished")

    def _stay(self, run: Run, course: Course, spec: JourneyStep) -> None:
        """Stays at a step that takes time: until a time, an event, or a verdict."""
        compiled = self._edition(run)
        assert compiled is not None
        if spec.emit is not None:
            run = replace(run, due_ms=run.since_ms)
            self.runs.put(run)
            emit = compiled.emits[run.step]
            self._sending.due(run.message(emit), emit)
            return
        run = replace(run, due_ms=self._stepping.due(run, spec))
        self.runs.put(run)
        group = NOW if spec.wait_for is None else course.group
        self._timers.set(run.key, run.due_ms, compiled.rule.priority, group)
        if spec.wait_for is not None:
            self._look(run, course)

    def _look(self, run: Run, course: Course) -> bool:
        """Takes a run on that waits for an event which has come."""
        came = self._awaited.first(run.rule, self._members(run.nodes), run.at, run.since_ms, run.due_ms)
        if came is not None:
            self._timers.drop(run.key)
            self._on(run, course, course.next(run.step), came.time_ms, "came")
        return came is not None

    def _on(self, run: Run, course: Course, step: str, at_ms: int, why: str) -> None:
        self._go(replace(run, path=(*run.path, (run.step, why))), course, step, at_ms, why)

    def ripe(self, key: str) -> None:
        """A run's time has come, or a row of what came is to be forgotten."""
        run = self.runs.get(key)
        if run is None:
            if key in self._awaited:
                self._awaited.ripe(key)
            return
        course = self._course(run)
        if course.steps[run.step].wait_for is not None:
            self._on(run, course, course.late(run.step), run.due_ms, "timeout")
        else:
            self._on(run, course, course.next(run.step), run.due_ms, "waited")

    def decide(self, match: Match, compiled: Compiled) -> None:
        """Has the message of a step decided, and takes its run on unless it is deferred."""
        first = not match.tried
        verdict = self._sending.decide(match, compiled)
        run = self.runs.get(key_of(match))
        if not first or run is None or match.step(0) != run.step:
            return
        if isinstance(verdict, Defer):
            self.runs.put(replace(run, due_ms=verdict.until_ms))
        else:
            why = "sent" if isinstance(verdict, Send) else "suppressed"
            course = self._course(run)
            self._on(run, course, course.next(run.step), run.due_ms, why)

    # What happens

    def on_event(self, awaiting: Sequence[Compiled], event: Any, seen: Seen) -> None:
        """Notes what a step of these journeys waits for, and takes on whose runs wait for it."""
        node, event_type = seen.nodes[0], event["event_type"]
        came = Came(seen.event_time_ms, seen.event_id)
        noted = False
        for compiled in awaiting:
            course = compiled.course
            if course is None or not self._is_live(compiled, event["tenant"]):
                continue
            for one in course.awaited:
                if event_type in one.types and one.condition(event):
                    step = f"{one.step}/{compiled.rule.version}/{compiled.owner}"
                    self._awaited.note(compiled.rule.rule, node, step, came, course.longest_ms)
                    noted = True
        if noted:
            self._reconcile(self._of(seen.nodes))

    def _is_live(self, compiled: Compiled, tenant: str) -> bool:
        """Whether somebody is inside this version, or may enter it."""
        rule = compiled.rule
        return self._book.rule(tenant, rule.rule) is compiled or self.runs.under(
            compiled.owner, rule.rule, rule.version
        )

    def exits(self, event_type: str, nodes: tuple[str, ...], time_ms: int) -> None:
        """The person did something: journeys that it ends, and that began before, are left at once."""
        for run in self._of(nodes):
            compiled = self._edition(run)
            if compiled is not None and event_type in compiled.rule.send.exit_on and run.anchor_ms <= time_ms:
                self._leave(run, "exited")

    def joined(self, nodes: Iterable[str]) -> None:
        """These nodes belong to somebody else now: what that person did, and where they are inside, is one."""
        persons = dict.fromkeys(self._profiles.person((node,))[0] for node in nodes) if len(self.runs) else {}
        for one_id in persons:
            self._reconcile(self.runs.of(self._profiles.members(one_id)) if one_id else [])

    def _reconcile(self, theirs: Sequence[Run]) -> None:
        """Makes one of what several were, and takes on who waits for what one of them did."""
        for run in theirs:
            self._exit_if_done(run)
        self._leave_all_but_the_first(theirs)

    def _exit_if_done(self, run: Run) -> None:
        compiled = self._edition(run)
        nodes = self._members(run.nodes)
        did = [self._profiles.doings.last(nodes, doing) for doing in compiled.rule.send.exit_on] if compiled else []
        if any(last is not None and last >= run.anchor_ms for last in did):
            self._leave(run, "exited")

    def _leave_all_but_the_first(self, theirs: Sequence[Run]) -> None:
        stay: set[str] = set()
        for run in theirs:
            current = self.runs.get(run.key)
            if current is None:
                continue
            if run.rule in stay:
                self._leave(current, "merged")
            else:
                stay.add(run.rule)
                self._settle(current)

    def _settle(self, run: Run) -> None:
        """Takes a run on if what it waits for is there."""
        course = self._course(run)
        if course.steps[run.step].wait_for is not None:
            self._look(run, course)

    def changed(self, compiled: Compiled) -> None:
        """A version came into force: it may want those who are inside."""
        course = compiled.course
        if course is None or not course.moves:
            return
        for run in self.runs.named(compiled.rule.rule):
            mine = self._book.rule(run.tenant, run.rule)
            if mine is compiled and (run.owner, run.version) != (compiled.owner, compiled.rule.version):
                self._move(run, compiled, course)

    def _move(self, run: Run, compiled: Compiled, course: Course) -> None:
        """Takes a run to the step of the same name; a message that was deferred there is the new version's now."""
        if run.step not in course.steps:
            self._leave(run, "step_gone")
            return
        moved = replace(run, owner=compiled.owner, version=compiled.rule.version)
        pending = self._pending(run)
        if pending is not None:
            self._sending.dismiss(pending[0])
        self._timers.drop(run.key)
        self._go(moved, course, run.step, run.since_ms, "moved")

    def row(self, key: str) -> object:
        """What stands under this key, for people who look for a fault."""
        return self.runs.row(key)

    def give_up(self, key: str) -> None:
        """Our own code raised at this run: it is over."""
        run = self.runs.get(key)
        if run is not None:
            self.runs.drop(run)

    # Asking

    def _members(self, nodes: tuple[str, ...]) -> list[str]:
        return self._profiles.around(nodes)

    def _of(self, nodes: tuple[str, ...]) -> list[Run]:
        return self.runs.of(self._members(nodes)) if len(self.runs) else []

    def _edition(self, run: Run) -> Compiled | None:
        return self._book.edition(run.owner, run.rule, run.version)

    def _course(self, run: Run) -> Course:
        compiled = self._edition(run)
        assert compiled is not None
        assert compiled.course is not None
        return compiled.course

    def _note(self, run: Run, why: str) -> None:
        seq: int = self._meta.get("moves", 0) + 1
        self._meta.put("moves", seq)
        one_id, node_id = self._profiles.person(run.nodes)
        to = Move(run.step, why, run.since_ms, self._clock.now, seq)
        self._records.move(run.entry, run.version, one_id, node_id, to)
