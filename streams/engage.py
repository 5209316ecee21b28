"""Where rules meet persons and delivery: events and due timers in, triggers and decisions out.

In: accepted events that a rule listens to, the clock's steps. Out: public records and table rows, in order.
Never: a channel's or the network's doing; a decision that is not written down.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from schemas.masking import masked
from streams.delivery.channels import Address, Route
from streams.delivery.decide import Offer, Send, Why, decide
from streams.identity.persons import NOBODY, Persons, parts_of
from streams.journal.clock import Clock
from streams.journal.tables import Tables
from streams.poison import NOTHING, Firing, Poisoned, Tally, Told, letter_of_firing
from streams.rules.absence import Instance, Seen, Verdict, from_row, to_row
from streams.rules.book import Book, Compiled
from streams.rules.timers import Timers

REMEMBER_MS = 30 * 86_400_000
"""How long an instance is kept after its last news: a payment later than that revokes nothing."""

_LATE_REASON = {Verdict.REVOKE: Why.ENDED_IN_TIME, Verdict.CONVERT: Why.ENDED_AFTER_SEND}


class Public(NamedTuple):
    """A record for a public topic; `subject` names its schema."""

    topic: str
    key: str
    subject: str
    record: dict[str, Any]


class Case(NamedTuple):
    """One rule's instance for one business key."""

    key: str
    tenant: str
    compiled: Compiled
    business_key: str

    @property
    def trigger_id(self) -> str:
        """Derived from the cause, never from the person of the moment: the same cause gives the same id."""
        cause = "\x1f".join((self.tenant, self.compiled.rule.rule, "", self.business_key))
        return blake2b(cause.encode(), digest_size=16).hexdigest()


class Engage:
    """Instances of rules in table `instances`, their timers, and what came out since the last `take`."""

    def __init__(self, tables: Tables, persons: Persons, clock: Clock, book: Book) -> None:
        self._rows = tables.table("instances")
        self.timers = Timers(tables)
        self._persons = persons
        self._clock = clock
        self._book = book
        self._tally = Tally(tables)
        self.left_out: Told = NOTHING
        self.public: list[Public] = []
        self.triggers: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []

    def on_event(self, listening: tuple[Compiled, ...], event: Mapping[str, Any], seen: Seen) -> None:
        """Takes one event to the rules that listen to its type."""
        order_id = event["order_id"]
        if not order_id:
            return
        for compiled in listening:
            key = "\x1f".join((event["tenant"], compiled.rule.rule, order_id))
            self._advance(Case(key, event["tenant"], compiled, order_id), event, seen)

    def _advance(self, case: Case, event: Mapping[str, Any], seen: Seen) -> None:
        absence = case.compiled.rule.when.absence
        row = self._rows.get(case.key)
        before = Instance() if row is None else from_row(row)
        if event["event_type"] == absence.after:
            if case.compiled.condition(event):
                self._keep(case, before, before.began(seen, absence.within))
            return
        after, verdict = before.end(seen)
        self._keep(case, before, after)
        if verdict in _LATE_REASON:
            self._came_late(case, after, verdict)

    def _keep(self, case: Case, before: Instance, after: Instance) -> None:
        if after == before:
            return
        self._rows.put(case.key, to_row(after))
        if after.due_ms != before.due_ms:
            self.timers.set(case.key, after.due_ms, case.compiled.rule.priority, case.compiled.group)
        elif after.anchor is None and after.ended is not None:
            self._forget_later(case, after.ended.event_time_ms)

    def _forget_later(self, case: Case, since_ms: int) -> None:
        self.timers.set(case.key, max(since_ms, self._clock.now) + REMEMBER_MS, 0, case.compiled.group)

    def take(self) -> tuple[list[Public], list[dict[str, Any]], list[dict[str, Any]]]:
        """Public records, and rows of `triggers` and `decisions`, that came out since the last call."""
        taken = self.public, self.triggers, self.decisions
        self.public, self.triggers, self.decisions = [], [], []
        return taken

    def on_clock(self) -> None:
        """Settles everything that is due by now."""
        if self.timers.next_ms < self._clock.now:
            for key in self.timers.due(self._clock):
                firing = Firing(key, self._clock.now)
                try:
                    if firing in self.left_out:
                        self._leave_out(firing)
                    else:
                        self._ripe(key)
                except MemoryError:
                    raise
                except Exception as error:
                    raise Poisoned(firing, error) from error

    def _leave_out(self, firing: Firing) -> None:
        """What waits there is given up, as a dead letter."""
        tenant, letter = letter_of_firing(firing, self._rows.get(firing.key), self.left_out[firing])
        self._rows.drop(firing.key)
        self.public.append(Public("events.deadletter", tenant, "dead_letter", letter))
        self._tally.add(self._clock.now)

    def _ripe(self, key: str) -> None:
        tenant, name, business_key = key.split("\x1f")
        compiled = self._book.rule(tenant, name)
        instance = from_row(self._rows[key])
        if compiled is not None and instance.waiting:
            self._settle(Case(key, tenant, compiled, business_key), instance)
        else:
            self._rows.drop(key)

    def _settle(self, case: Case, instance: Instance) -> None:
        verdict = instance.ripe()
        sent = verdict is Verdict.MATCHED and self._deliver(case, instance)
        if verdict is Verdict.LATE:
            self._decision(case, instance, "suppressed", Why.ENDED_BEFORE_SEND)
        self._rows.put(case.key, to_row(instance.decided(sent)))
        self._forget_later(case, instance.due_ms)

    def _deliver(self, case: Case, instance: Instance) -> bool:
        send = case.compiled.rule.send
        routes = [Route(channel.channel, channel.to, channel.scope) for channel in send.channels]
        offer = Offer(instance.due_ms + send.expires_after, routes)
        nodes = _nodes(instance)
        verdict = decide(offer, self._clock.now, self._addresses(nodes), nodes)
        if isinstance(verdict, Send):
            self._trigger(case, instance, verdict)
            return True
        self._decision(case, instance, "suppressed", verdict.reason)
        return False

    def _addresses(self, nodes: tuple[str, ...]) -> list[Address]:
        person = self._persons.node(nodes[0]) if nodes else NOBODY
        return [
            Address(node, *parts_of(node)[1:], self._persons.node(node).seq)
            for node in self._persons.members(person.one_id)
        ]

    def _trigger(self, case: Case, instance: Instance, verdict: Send) -> None:
        rule = case.compiled.rule
        record = {
            **self._common(case, instance),
            "due_time": instance.due_ms,
            "fired_time": self._clock.now,
            "channel": verdict.route.channel,
            "recipient": _identity(verdict.address),
            "content": dict(rule.send.content),
            "expires_time": instance.due_ms + rule.send.expires_after,
        }
        self.public.append(Public(rule.send.topic, record["one_id"], "trigger", record))
        self.triggers.append(_trigger_row(record, rule.send.topic, self._node_id(instance)))
        self._decision(case, instance, "sent", Why.MATCHED)

    def _came_late(self, case: Case, instance: Instance, verdict: Verdict) -> None:
        reason = _LATE_REASON[verdict]
        if verdict is Verdict.REVOKE:
            common = self._common(case, instance)
            record = {name: common[name] for name in ("trigger_id", "tenant", "rule", "one_id", "business_key")}
            record |= {"reason": reason.value, "cause": common["cause"], "revoked_time": self._clock.now}
            self.public.append(Public("triggers.revoked", common["one_id"], "trigger_revoked", record))
        self._decision(case, instance, "revoked" if verdict is Verdict.REVOKE else "converted", reason)

    def _decision(self, case: Case, instance: Instance, verdict: str, reason: Why) -> None:
        record = {
            **self._common(case, instance),
            "verdict": verdict,
            "reason": reason.value,
            "due_time": instance.due_ms,
            "decided_time": self._clock.now,
            "defer_until": None,
        }
        self.public.append(Public("decisions", record["one_id"], "decision", record))
        self.decisions.append(_decision_row(record, self._node_id(instance)))

    def _common(self, case: Case, instance: Instance) -> dict[str, Any]:
        nodes = _nodes(instance)
        seen = [event for event in (instance.anchor, instance.ended) if event is not None]
        return {
            "trigger_id": case.trigger_id,
            "tenant": case.tenant,
            "rule": case.compiled.rule.rule,
            "rule_version": case.compiled.rule.version,
            "step": "",
            "one_id": self._persons.node(nodes[0]).one_id if nodes else "",
            "business_key": case.business_key,
            "cause": [event.event_id for event in seen],
            "arm": "treatment",
        }

    def _node_id(self, instance: Instance) -> str:
        nodes = _nodes(instance)
        return self._persons.node(nodes[0]).node_id if nodes else ""


def _nodes(instance: Instance) -> tuple[str, ...]:
    return instance.anchor.nodes if instance.anchor else ()


def _identity(address: Address) -> dict[str, Any]:
    return {"kind": address.kind, "scope": address.scope or None, "value": address.value}


_AS_THEY_ARE = ("trigger_id", "tenant", "rule", "rule_version", "one_id", "business_key")


def _trigger_row(record: dict[str, Any], topic: str, node_id: str) -> dict[str, Any]:
    recipient = record["recipient"]
    return {
        **{name: record[name] for name in (*_AS_THEY_ARE, "step", "channel", "arm")},
        "topic": topic,
        "node": node_id,
        "due_time_ms": record["due_time"],
        "fired_time_ms": record["fired_time"],
        "expires_time_ms": record["expires_time"],
        "recipient_kind": recipient["kind"],
        "recipient_scope": recipient["scope"] or "",
        "recipient_value": masked(recipient["kind"], recipient["value"]),
        "cause": ",".join(record["cause"]),
        "content": json.dumps(record["content"], sort_keys=True, ensure_ascii=False),
    }


def _decision_row(record: dict[str, Any], node_id: str) -> dict[str, Any]:
    return {
        **{name: record[name] for name in (*_AS_THEY_ARE, "verdict", "reason")},
        "node": node_id,
        "due_time_ms": record["due_time"],
        "decided_time_ms": record["decided_time"],
        "cause": ",".join(record["cause"]),
    }
