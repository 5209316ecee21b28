"""Matches on their way out: each is decided, sent, deferred or suppressed, and what comes back is taken in.

In: matches, due timers, receipts, conversions. Out: records; timers; what each node was sent, and how it answered.
Never: matching; a decision that is not written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from streams.delivery.decide import Defer, Send, Verdict, arm, decide
from streams.delivery.policies import Policies
from streams.delivery.quiet import Nights
from streams.delivery.reasons import Why
from streams.delivery.zones import local
from streams.engage.match import Match, Stage, from_row
from streams.engage.offers import Offers
from streams.engage.profile import Profiles
from streams.engage.records import About, Records
from streams.journal.clock import Clock
from streams.journal.tables import Tables
from streams.profile.sends import Sent
from streams.rules.book import Book, Compiled
from streams.rules.timers import NOW, Timers

ANSWERS = ("opened", "clicked", "redeemed")
"""What receipts say that the person did."""

REMEMBER_MS = 30 * 86_400_000
"""How long a match is kept after its last news: a payment later than that revokes nothing."""


class Sending:
    """Tables `matches` (key → match, from its deferral or sending on) and `sent` (trigger_id → key, node, channel, and
    whether it was answered)."""

    def __init__(
        self, tables: Tables, book: Book, clock: Clock, *, timers: Timers, profiles: Profiles, records: Records
    ) -> None:
        self._rows = tables.table("matches")
        self._sent = tables.table("sent")
        self.policies = Policies(tables)
        self._book = book
        self._clock = clock
        self._timers = timers
        self._profiles = profiles
        self._records = records
        self._nights = Nights()
        self.offers = Offers(profiles, self.policies)
        self.begin: Callable[[Match, Compiled], None] = _nowhere
        """What is done with a match that begins a journey; set by whoever leads them."""

    def get(self, key: str) -> Match | None:
        """The match of this key, if it was deferred or sent."""
        row = self._rows.get(key)
        return None if row is None else from_row(key, row)

    # Deciding

    def due(self, match: Match, compiled: Compiled) -> None:
        """Has a match decided as soon as delivery's now has reached its due time."""
        self._rows.put(match.key, match.row)
        self._timers.set(match.key, match.due_ms, compiled.rule.priority, NOW)

    def enter(self, match: Match) -> Match:
        """The match with its number: from now on it bars later ones that re-entry does not allow."""
        if not match.nodes or match.number:
            return match
        return replace(match, number=self._profiles.entries.add(match.nodes[0], match.rule, match.due_ms))

    def decide(self, match: Match, compiled: Compiled) -> Verdict | None:
        """Runs the chain over a match that is new, or due again; None where it begins a journey."""
        match = self.enter(match)
        if compiled.course is not None:
            self.begin(match, compiled)
            return None
        offer = self.offers.of(match, compiled)
        policy, now_ms = self.policies.of(match.tenant), self._clock.now
        verdict = decide(offer, self.offers.recipient(match, offer, now_ms), policy, now_ms, self._nights)
        if isinstance(verdict, Send):
            self._send(match, compiled, verdict)
        elif isinstance(verdict, Defer):
            self._records.decision(self._about(match, compiled), "deferred", verdict.reason, verdict.until_ms)
            self._rows.put(match.key, match.row)
            self._timers.set(match.key, verdict.until_ms, compiled.rule.priority, NOW)
        else:
            self.suppress(match, compiled, verdict.reason)
        return verdict

    def dismiss(self, match: Match) -> None:
        """It is not to be decided any more, and nothing was sent."""
        self._rows.drop(match.key)
        self._timers.drop(match.key)

    def suppress(self, match: Match, compiled: Compiled, reason: Why, more: tuple[str, ...] = ()) -> None:
        """It is not sent, or not any more."""
        about = self._about(match, compiled, more)
        policy = self.policies.of(match.tenant)
        share = arm(about.one_id, match.name, policy, compiled.rule.send.control_percent)
        self._records.decision(about._replace(arm=share), "suppressed", reason)
        if match.tried:
            self._keep(replace(match, stage=Stage.OVER), compiled)
        else:
            self._rows.drop(match.key)

    def _send(self, match: Match, compiled: Compiled, verdict: Send) -> None:
        about = self._about(match, compiled)
        node, channel = verdict.address.node, verdict.route.channel
        self._records.trigger(about, verdict.route, verdict.address)
        self._records.decision(about, "sent", verdict.reason)
        trigger_id = match.trigger_id(about.attempt)
        self._profiles.answers.sent(node, channel, self._clock.now)
        self._profiles.sends.add(node, Sent(self._clock.now, match.name, channel, trigger_id, match.key))
        self._sent.put(trigger_id, (match.key, node, channel))
        self._keep(replace(match, stage=Stage.SENT, tried=(*match.tried, channel), sent_to=node), compiled)

    def _keep(self, match: Match, compiled: Compiled) -> None:
        """Keeps a match that was sent until nothing more can come of it."""
        self._rows.put(match.key, match.row)
        self._timers.set(match.key, max(match.due_ms, self._clock.now) + REMEMBER_MS, 0, compiled.group)

    def forget(self, match: Match) -> None:
        """Nothing more can come of it."""
        for attempt in range(len(match.tried)):
            self._sent.drop(match.trigger_id(attempt))
        self._rows.drop(match.key)

    # What comes back

    def ended_late(self, match: Match, compiled: Compiled, event_id: str, in_time: bool) -> None:
        """What it waited for came after it was sent: in time, so it should not have been; or as its conversion."""
        if in_time and match.sent:
            about = self.about_sent(match, compiled, event_id)
            self._records.revocation(about, Why.ENDED_IN_TIME)
            self._records.decision(about, "revoked", Why.ENDED_IN_TIME)
            self._rows.put(match.key, replace(match, stage=Stage.OVER).row)
        elif not in_time:
            self.converted(match, compiled, event_id)

    def converted(self, match: Match, compiled: Compiled, event_id: str) -> None:
        """The person did what it was for."""
        if match.stage is Stage.SENT:
            self._records.decision(self.about_sent(match, compiled, event_id), "converted", Why.ENDED_AFTER_SEND)
            self._rows.put(match.key, replace(match, stage=Stage.CONVERTED).row)

    def exits(self, rules: Sequence[Compiled], nodes: tuple[str, ...], event_id: str, time_ms: int) -> None:
        """The person did what ends these rules: of each match that was sent, and began before, the conversion."""
        sends = self._profiles.sends.of(self._profiles.members(self._profiles.person(nodes)[0]))
        for compiled in rules:
            for key in dict.fromkeys(sent.match for sent in sends if sent.decided_by == compiled.rule.rule):
                match = self.get(key)
                if match is not None and match.anchor_ms <= time_ms:
                    self.converted(match, compiled, event_id)

    def receipt(self, record: Mapping[str, Any]) -> str | None:
        """Takes a report on a trigger; the node that it was sent to, None where it is not known any more."""
        key, node, channel, *answered = self._sent.get(record["trigger_id"], ("", "", ""))
        match = self.get(key)
        if match is None or match.tenant != record["tenant"]:
            return None
        if record["status"] == "failed":
            self._failed(match, record["trigger_id"], record["time"])
        elif record["status"] == "unsubscribed":
            self._profiles.consents.say(node, channel, record["time"], given=False)
        elif record["status"] in ANSWERS and not answered:
            self._sent.put(record["trigger_id"], (key, node, channel, True))
            self._answered(match, node, channel, record)
        return str(node)

    def _answered(self, match: Match, node: str, channel: str, record: Mapping[str, Any]) -> None:
        """The first answer to a message tells where, and by the clock at the person's when, they are reached."""
        answers, time_ms, now_ms = self._profiles.answers, record["time"], self._clock.now
        answers.answered(node, channel, time_ms, now_ms)
        if record["status"] != "redeemed":
            zone = self._profiles.zone(self._profiles.around((node,)), self.policies.of(match.tenant))
            answers.at_hour(node, local(time_ms, zone).hour, time_ms, now_ms)

    def _failed(self, match: Match, trigger_id: str, time_ms: int) -> None:
        """It was not sent after all: it counts nowhere, and the next channel is tried."""
        compiled = self._book.rule(match.tenant, match.rule)
        if compiled is None or trigger_id != match.trigger_id(len(match.tried) - 1) or match.stage is not Stage.SENT:
            return
        self._profiles.sends.take_back(match.sent_to, trigger_id)
        self._profiles.answers.failed(match.sent_to, match.tried[-1], time_ms, self._clock.now)
        again = replace(match, stage=Stage.WAITING)
        if any(channel.channel not in match.tried for channel in compiled.rule.send.channels):
            self._rows.put(match.key, again.row)
            self._timers.set(match.key, self._clock.now, compiled.rule.priority, NOW)
        else:
            self.suppress(again, compiled, Why.FAILED)

    def leave(self, key: str) -> None:
        """The journey that sent this was left: what fails goes out over no other channel, also where it waits to."""
        self.bar(key)
        match = self.get(key)
        compiled = None if match is None else self._book.rule(match.tenant, match.rule)
        if match is not None and compiled is not None and match.waits:
            self.suppress(match, compiled, Why.EXITED)

    def bar(self, key: str) -> None:
        """Nothing more of this is to be sent; where it waits to, that is said when its time has come."""
        match = self.get(key)
        if match is not None:
            self._rows.put(key, replace(match, left=True).row)

    def _about(self, match: Match, compiled: Compiled, more: tuple[str, ...] = ()) -> About:
        one_id, node_id = self._profiles.person(match.nodes)
        late = self._late(match, compiled)
        return About(
            match, compiled.rule, one_id, node_id, self._clock.now, len(match.tried), more=more, late_sources=late
        )

    def _late(self, match: Match, compiled: Compiled) -> tuple[str, ...]:
        """The sources that have not been read past the end of the wait, where the rule no longer waits for them."""
        absence = compiled.rule.when.absence
        if absence is None:
            return ()
        ended_ms = match.due_ms if match.name == match.rule else match.anchor_ms + absence.within
        return self._clock.behind(compiled.group, ended_ms)

    def about_sent(self, match: Match, compiled: Compiled, event_id: str) -> About:
        """What is said of the last attempt, with the event that shows it."""
        return self._about(match, compiled, (event_id,))._replace(attempt=len(match.tried) - 1)


def _nowhere(match: Match, compiled: Compiled) -> None:
    raise LookupError(f"nobody leads journeys, and {compiled.rule.rule} is one")
