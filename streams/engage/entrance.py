"""Who may enter a journey: the first link that says no names the reason.

In: a match, its person, the journey. Out: the reason, or none. Never: where a run goes.

The order: exit, re-entry, inside already, entry caps.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.delivery.caps import Cap
from streams.delivery.reasons import Why
from streams.engage.match import SEPARATOR, Match
from streams.engage.runs import Run, Runs
from streams.engage.sending import Sending
from streams.journal.clock import Clock
from streams.journal.tables import Tables
from streams.rules.book import Compiled


class Entrance:
    """Table `entered`: tenant␟journey → the last entry's time, and how many there were in its period."""

    def __init__(self, tables: Tables, clock: Clock, sending: Sending, runs: Runs) -> None:
        self._rows = tables.table("entered")
        self._clock = clock
        self._sending = sending
        self._runs = runs

    def bars(self, match: Match, compiled: Compiled, theirs: Sequence[Run]) -> Why | None:
        """Why this match begins nothing; `theirs` are the runs of its person."""
        offer = self._sending.offers.of(match, compiled)
        chain = (
            (Why.UNREACHABLE, not match.nodes),
            (Why.EXITED, offer.exited),
            (Why.RE_ENTRY, offer.matched_before),
            (Why.INSIDE, any(run.rule == match.rule for run in theirs)),
            (Why.ENTRY_CAP, self._is_full(match, compiled)),
        )
        return next((why for why, says_no in chain if says_no), None)

    def _is_full(self, match: Match, compiled: Compiled) -> bool:
        journey = compiled.rule.journey
        assert journey is not None
        if journey.most_inside is not None and self._runs.inside(match.tenant, match.rule) >= journey.most_inside:
            return True
        return journey.most_entries is not None and self._entries(match, compiled) >= journey.most_entries.most

    def _entries(self, match: Match, compiled: Compiled) -> int:
        """How many have entered in the period that now is in."""
        journey = compiled.rule.journey
        last_ms, entries = self._rows.get(_key(match), (0, 0))
        if journey is None or journey.most_entries is None:
            return 0
        period = Cap(1, 0, journey.most_entries.per)
        home = self._sending.policies.of(match.tenant).at_home
        return int(entries) if period.used((last_ms,), self._clock.now, home) else 0

    def enter(self, match: Match, compiled: Compiled) -> None:
        """Counts one who enters, where entries are counted."""
        if compiled.rule.journey is not None and compiled.rule.journey.most_entries is not None:
            self._rows.put(_key(match), (self._clock.now, self._entries(match, compiled) + 1))


def _key(match: Match) -> str:
    return SEPARATOR.join((match.tenant, match.rule))
