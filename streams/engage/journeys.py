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
from streams.engage.awaited import AwaitedEvents, Came
from streams.engage.entrance import Entrance
from streams.engage.match import Match
from streams.engage.profile import Profiles
from streams.engage.records import Records
from streams.engage.runs import Run, Runs, begun, key_of
from streams.engage.sending import Sending
from streams.engage.travel import Travel
from streams.journal.clock import Clock
from streams.journal.tables import Tables
from streams.rules.absence import Seen
from streams.rules.book import Book, Compiled
from streams.rules.course import Course
from streams.rules.timers import Timers


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
        self._entrance = Entrance(tables, clock, sending, self.runs)
        self._book = book
        self._clock = clock
        self._timers = timers
        self._profiles = profiles
        self._sending = sending
        self._travel = Travel(
            tables,
            book,
            clock,
            timers=timers,
            profiles=profiles,
            sending=sending,
            records=records,
            runs=self.runs,
            awaited=self._awaited,
        )
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
        self._travel.go(run, course, course.first, match.due_ms, "entered")

    # Going on

    def ripe(self, key: str) -> None:
        """A run's time has come, or a row of what came is to be forgotten."""
        run = self.runs.get(key)
        if run is None:
            if key in self._awaited:
                self._awaited.ripe(key)
            return
        course = self._travel.course(run)
        if course.steps[run.step].wait_for is not None:
            self._travel.on(run, course, course.late(run.step), run.due_ms, "timeout")
        else:
            self._travel.on(run, course, course.next(run.step), run.due_ms, "waited")

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
            why = "suppressed"
            if isinstance(verdict, Send):
                why, run = "sent", replace(run, sent=(*run.sent, match.rule))
            course = self._travel.course(run)
            self._travel.on(run, course, course.next(run.step), run.due_ms, why)

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
            compiled = self._travel.edition(run)
            if compiled is not None and event_type in compiled.rule.send.exit_on and run.anchor_ms <= time_ms:
                self._travel.leave(run, "exited")

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
        compiled = self._travel.edition(run)
        nodes = self._travel.members(run.nodes)
        did = [self._profiles.doings.last(nodes, doing) for doing in compiled.rule.send.exit_on] if compiled else []
        if any(last is not None and last >= run.anchor_ms for last in did):
            self._travel.leave(run, "exited")

    def _leave_all_but_the_first(self, theirs: Sequence[Run]) -> None:
        stay: set[str] = set()
        for run in theirs:
            current = self.runs.get(run.key)
            if current is None:
                continue
            if run.rule in stay:
                self._travel.leave(current, "merged")
            else:
                stay.add(run.rule)
                self._settle(current)

    def _settle(self, run: Run) -> None:
        """Takes a run on if what it waits for is there."""
        course = self._travel.course(run)
        if course.steps[run.step].wait_for is not None:
            self._travel.look(run, course)

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
            self._travel.leave(run, "step_gone")
            return
        moved = replace(run, owner=compiled.owner, version=compiled.rule.version)
        pending = self._travel.pending(run)
        if pending is not None:
            self._sending.dismiss(pending[0])
        self._timers.drop(run.key)
        self._travel.go(moved, course, run.step, run.since_ms, "moved")

    def row(self, key: str) -> object:
        """What stands under this key, for people who look for a fault."""
        return self.runs.row(key)

    def give_up(self, key: str, message: Match | None) -> None:
        """Our own code raised at this run, or at a message of its: then it is over, and nothing more is sent of it.

        A message that had gone out before was a fallback, which no run waits for: the run goes on.
        """
        run = self.runs.get(key if message is None else key_of(message))
        if run is not None and (message is None or not message.tried):
            self._travel.give_up(run)

    # Asking

    def _of(self, nodes: tuple[str, ...]) -> list[Run]:
        return self.runs.of(self._travel.members(nodes)) if len(self.runs) else []
