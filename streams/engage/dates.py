"""Rules on a date of a person: what a trait says, by the calendar on their wall, once a year.

In: traits as they are told, merges and cuts, due timers. Out: matches for delivery. Never: a channel; a date that had
passed before it was told.

Every node that told the trait has a timer, on the next date of today's person. The first of them that is due matches
for all: the year is marked with the node whose word counts, so a cut takes the mark along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from streams.delivery.calendar import instant
from streams.delivery.policies import EVERY_TENANT
from streams.delivery.zones import local
from streams.engage.match import SEPARATOR, Match
from streams.engage.profile import Profiles
from streams.engage.sending import Sending
from streams.identity.changes import IdentityFact, Moved, Unlinked
from streams.journal.clock import Clock
from streams.journal.tables import Tables
from streams.profile.traits import Told
from streams.rules.book import Book, Compiled
from streams.rules.dates import day_in
from streams.rules.timers import NOW, Timers

_YEARS_KEPT = 3


class Day(NamedTuple):
    """A date as an instant, and the year that it belongs to."""

    time_ms: int
    year: int


class Dates:
    """Table `dates`: tenant␟rule//␟node → (the next date's instant, years that have matched)."""

    def __init__(
        self, tables: Tables, book: Book, clock: Clock, *, timers: Timers, profiles: Profiles, sending: Sending
    ) -> None:
        self._rows = tables.table("dates")
        self._book = book
        self._clock = clock
        self._timers = timers
        self._profiles = profiles
        self._sending = sending
        self._rules: dict[str, list[Compiled]] = {}

    def told(self, rules: Iterable[Compiled], nodes: Sequence[str]) -> None:
        """An event told a trait of these nodes' person."""
        for compiled in rules:
            asked = compiled.rule.when.date
            if asked is not None and self._profiles.traits.of(nodes[:1], asked.trait) is not None:
                self._rows.put(_key(compiled, nodes[0]), (0, self._years(compiled, nodes[:1])))
            self._plan(compiled, self._members(nodes[0]))

    def changed(self, compiled: Compiled) -> None:
        """A rule came into force: for everyone of whom the trait is known."""
        self._rules.clear()
        asked = compiled.rule.when.date
        for node in self._profiles.traits.nodes(asked.trait) if asked is not None else ():
            if self._book.rule(node.partition(SEPARATOR)[0], compiled.rule.rule) is compiled:
                self._rows.put(_key(compiled, node), (0, self._years(compiled, (node,))))
                self._plan(compiled, (node,))

    def rezoned(self, tenant: str) -> None:
        """The tenant's zone is another one: a date may come earlier than its timer says."""
        for key in sorted(self._rows):
            of, name, node = key.split(SEPARATOR, 2)
            compiled = self._book.rule(of, name[:-2])
            if compiled is not None and tenant in (of, EVERY_TENANT):
                self._plan(compiled, (node,))

    def moved(self, facts: Iterable[IdentityFact]) -> None:
        """Nodes belong to somebody else now, and others lost them."""
        if not self._rows:
            return
        persons = [self._profiles.person((fact.node,))[0] for fact in facts if isinstance(fact, Moved)]
        persons += [one_id for fact in facts if isinstance(fact, Unlinked) for one_id in (fact.one_id, fact.into)]
        for one_id in dict.fromkeys(filter(None, persons)):
            nodes = self._profiles.members(one_id)
            for compiled in self._of(nodes[0].partition(SEPARATOR)[0]) if nodes else ():
                self._plan(compiled, nodes)

    def _of(self, tenant: str) -> list[Compiled]:
        """The tenant's rules on dates."""
        if tenant not in self._rules:
            self._rules[tenant] = [one for one in self._book.of(tenant) if one.rule.when.date is not None]
        return self._rules[tenant]

    def _plan(self, compiled: Compiled, nodes: Sequence[str]) -> None:
        """Sets the timers of those of one person's nodes that have a row to the next date, which is one for all."""
        mine = [node for node in nodes if _key(compiled, node) in self._rows]
        following = next(self._days(compiled, mine[0], self._clock.now + 1), None) if mine else None
        for node in mine:
            key = _key(compiled, node)
            row = (following.time_ms if following else 0, self._years(compiled, (node,)))
            if row != self._rows[key]:
                self._rows.put(key, row)
            if following is None:
                self._timers.drop(key)
            else:
                self._timers.set(key, following.time_ms, compiled.rule.priority, NOW)

    def _days(self, compiled: Compiled, node: str, since_ms: int) -> Iterator[Day]:
        """The dates of a node's person from this instant on."""
        asked, told = compiled.rule.when.date, self._holder(compiled, node)
        if asked is None or told is None:
            return
        nodes = self._members(node)
        zone = self._profiles.zone(nodes, self._sending.policies.of(node.partition(SEPARATOR)[0]))
        year = local(since_ms, zone).year - 1
        while (day := day_in(year, told.value, asked)) is not None:
            found = Day(instant(day, asked.at, zone), year)
            if found.time_ms >= since_ms:
                yield found
            year += 1

    def _holder(self, compiled: Compiled, node: str) -> Told | None:
        """What counts for the person, and of which node it was told."""
        asked = compiled.rule.when.date
        return None if asked is None else self._profiles.traits.of(self._members(node), asked.trait)

    def _members(self, node: str) -> list[str]:
        return self._profiles.around((node,))

    def _years(self, compiled: Compiled, nodes: Iterable[str]) -> tuple[int, ...]:
        rows = (self._rows.get(_key(compiled, node)) for node in nodes)
        return tuple(sorted({year for row in rows if row is not None for year in row[1]}))[-_YEARS_KEPT:]

    def ripe(self, key: str) -> None:
        """A date has come."""
        tenant, name, node = key.split(SEPARATOR, 2)
        compiled = self._book.rule(tenant, name[:-2])
        told = None if compiled is None else self._holder(compiled, node)
        if compiled is None or told is None:
            self._rows.drop(key)
            return
        for day in self._days(compiled, node, self._rows[key][0]):
            if day.time_ms > self._clock.now:
                break
            if day.year not in self._years(compiled, self._members(node)):
                self._match(compiled, tenant, told.node, day)
        self._plan(compiled, (node,))

    def _match(self, compiled: Compiled, tenant: str, node: str, day: Day) -> None:
        marked = _key(compiled, node)
        due_ms, years = self._rows.get(marked, (0, ()))
        self._rows.put(marked, (due_ms, (*years, day.year)[-_YEARS_KEPT:]))
        _, node_id = self._profiles.person((node,))
        rule, at = compiled.rule.rule, day.time_ms
        self._sending.due(Match(tenant, rule, f"{node_id}-{day.year}", "", (node,), at, at, ()), compiled)

    def forget(self, key: str) -> None:
        """Nothing more can come of it."""
        self._rows.drop(key)

    def __contains__(self, key: object) -> bool:
        return key in self._rows


def _key(compiled: Compiled, node: str) -> str:
    return SEPARATOR.join((node.partition(SEPARATOR)[0], f"{compiled.rule.rule}//", node))
