"""What was said of orders so far, and what that and the journal tell of persons: every question from the beginning.

In: an oracle of the journal, outcomes. Out: sends, doings, words of consent. Never: code of `streams`; a decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from tests.support.journals import trigger_id_of
from tests.support.lines import (
    Applied,
    CapText,
    ChannelText,
    Event,
    Id,
    Ordained,
    PolicyText,
    Reported,
    RuleText,
)
from tests.support.oracle import Oracle, Order
from tests.support.people import Node
from tests.support.walls import calendar

Key = tuple[str, str, str]  # tenant, rule, order


@dataclass(frozen=True)
class Outcome:
    """What came of an order at position `at` of the journal."""

    at: int
    key: Key
    verdict: str
    reason: str
    rule: RuleText
    one_id: str
    due: int
    clock: int
    cause: tuple[str, ...]
    attempt: int = 0
    arm: str = "treatment"
    until: int | None = None
    channel: str = ""
    to: Node = ()
    late: tuple[str, ...] = ()

    @property
    def trigger_id(self) -> str:
        """The same for the same cause, whoever the person is."""
        tenant, rule, order = self.key
        return trigger_id_of(tenant, rule, self.attempt, order)

    @property
    def recipient(self) -> Id:
        """The id that it was sent to."""
        _, kind, scope, value = self.to[:4]
        return kind, scope, value


class History:
    """What was said so far, and what the journal tells of persons by now."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.lines = oracle.lines
        self.told: list[Outcome] = []

    @cached_property
    def keys(self) -> list[Key]:
        """Every order under every rule."""
        orders = {(event.tenant, event.order) for _, event in self.oracle.accepted if event.order}
        names = {line.rule.name for line in self.lines if isinstance(line, Applied)}
        return sorted((tenant, name, order) for tenant, order in orders if order for name in names)

    def order_of(self, key: Key) -> Order:
        """One order under one rule."""
        return Order(self.oracle, *key)

    def said_of(self, key: Key) -> list[Outcome]:
        """What was said of it."""
        return [outcome for outcome in self.told if outcome.key == key and outcome.verdict != "noted"]

    def anchor(self, key: Key, outcome: Outcome) -> Event:
        """The event that it began with."""
        return next(
            event for _, event in self.oracle.accepted if (event.tenant, event.id) == (key[0], outcome.cause[0])
        )

    def first_report(self, at: int, line: Reported) -> bool:
        """Whether no report with this id came before."""
        same = (one for one in self.lines[:at] if isinstance(one, Reported) and one.tenant == line.tenant)
        return all(one.id != line.id for one in same)

    def reported(self, at: int, line: Reported) -> Outcome | None:
        """The attempt that it reports on."""
        key = (line.tenant, line.rule, line.order)
        attempts = [one for one in self.said_of(key) if one.verdict == "sent" and one.at <= at]
        return next((one for one in attempts if one.attempt == line.attempt), None)

    def failed(self, at: int, sent: Outcome) -> bool:
        """Whether it is known by now that this was not sent."""
        return self.failure(at, sent) is not None

    def failure(self, at: int, sent: Outcome) -> tuple[int, Reported] | None:
        """The first report by now of this not being sent that came while it stood, and where."""
        for position, line in enumerate(self.lines[: at + 1]):
            if isinstance(line, Reported) and line.status == "failed" and self.first_report(position, line):
                known = [one for one in self.said_of(sent.key) if one.at < position or one is sent]
                if self.reported(position, line) is sent and known and known[-1] is sent:
                    return position, line
        return None

    def answer(self, at: int, sent: Outcome) -> tuple[int, Reported] | None:
        """The first thing that the person is known by now to have done with what was sent, and where it stands."""
        for position, line in enumerate(self.lines[: at + 1]):
            if not isinstance(line, Reported) or line.status not in ("opened", "clicked", "redeemed"):
                continue
            if self.first_report(position, line) and self.reported_then(position, line) is sent:
                return position, line
        return None

    def sent_to(self, at: int, person: set[Node]) -> list[Outcome]:
        """What these ids got, less what failed."""
        sent = [one for one in self.told if one.verdict == "sent" and one.to in person]
        return [one for one in sent if not self.failed(at, one)]

    def did(self, at: int, person: set[Node], kind: str) -> Iterator[int]:
        """When these ids did this, as far as somebody asked for it then."""
        for position, event in self.oracle.accepted:
            nodes = self.oracle.nodes_then(event)
            theirs = position <= at and event.type == kind and nodes and nodes[0] in person
            if theirs and self.asked_for(position, event.tenant, kind):
                yield event.time
        for position, line in enumerate(self.lines[: at + 1]):
            if isinstance(line, Reported) and line.status == kind and self.first_report(position, line):
                sent = self.reported_then(position, line)
                if sent is not None and sent.to in person and self.asked_for(position, line.tenant, kind):
                    yield line.time

    def reported_then(self, at: int, line: Reported) -> Outcome | None:
        """The same, as it was known then."""
        sent = self.reported(at, line)
        return sent if sent is not None and sent.at < at else None

    def asked_for(self, at: int, tenant: str, kind: str) -> bool:
        """Whether a rule or a policy in force then names it."""
        rules = [self.oracle.rule(at, tenant, name) for name in {key[1] for key in self.keys}]
        windows = [event for channel in self.policy(at, tenant).channels for event, _ in channel.windows]
        return kind in windows or any(kind in rule.exit_on for rule in rules if rule is not None)

    def consents(self, at: int, person: set[Node], channel: ChannelText) -> bool:
        """The newest word; a withdrawal where two are as new."""
        words: list[tuple[int, bool]] = []
        for position, event in self.oracle.accepted:
            nodes = self.oracle.nodes_then(event)
            if position <= at and nodes and nodes[0] in person:
                then = channel_of(self.policy(position, event.tenant), channel.name)
                words += [(event.time, True)] * (event.type in then.given_by)
                words += [(event.time, False)] * (event.type in then.withdrawn_by)
        for position, line in enumerate(self.lines[: at + 1]):
            if isinstance(line, Reported) and line.status == "unsubscribed" and self.first_report(position, line):
                sent = self.reported_then(position, line)
                if sent is not None and sent.to in person and sent.channel == channel.name:
                    words.append((line.time, False))
        newest = [given for time, given in words if time == max(time for time, _ in words)]
        return all(newest) if newest else not channel.needs_consent

    def counted(self, at: int, sends: Sequence[Outcome], cap: CapText, policy: PolicyText) -> int:
        """How many of these sends count now."""
        now = self.oracle.now(at)
        if cap.within:
            return sum(now - one.clock < cap.within for one in sends)
        return sum(calendar(cap.per, one.clock, policy) == calendar(cap.per, now, policy) for one in sends)

    def policy(self, at: int, tenant: str) -> PolicyText:
        """The delivery policy in force for the tenant: its own, else everyone's; an older version is refused."""
        found: dict[str, PolicyText] = {}
        for line in self.lines[: at + 1]:
            if isinstance(line, Ordained):
                before = found.get(line.tenant)
                if before is None or before.version <= line.policy.version:
                    found[line.tenant] = line.policy
        return found.get(tenant) or found.get("*") or PolicyText()


def sent_order(outcome: Outcome) -> tuple[object, ...]:
    """By time, then as rows of sends are told apart."""
    return outcome.clock, outcome.key[1], outcome.channel, outcome.trigger_id, outcome.key


def channel_of(policy: PolicyText, name: str) -> ChannelText:
    return next((channel for channel in policy.channels if channel.name == name), ChannelText(name))
