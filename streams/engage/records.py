"""What the engine says about matches, as public records and as rows of ClickHouse tables.

In: a match, its rule, its person, the verdict. Out: records of triggers, revocations and decisions, in order.
Never: a verdict.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from schemas.masking import masked
from streams.delivery.channels import Address, Route
from streams.delivery.reasons import Why
from streams.engage.match import Match
from streams.rules.spec import Rule


class Public(NamedTuple):
    """A record for a public topic; `subject` names its schema.

    `key` is UTF-8, other bytes stand there as surrogates; "" is none.
    """

    topic: str
    key: str
    subject: str
    record: dict[str, Any]


class About(NamedTuple):
    """What every record says: the match under this rule text, its person and strongest node then, when, which attempt.

    `more`: events beside those of the match that show what is said. `late_sources`: those that had not been read past
    the end of the wait.
    """

    match: Match
    rule: Rule
    one_id: str
    node_id: str
    now_ms: int
    attempt: int
    arm: str = "treatment"
    more: tuple[str, ...] = ()
    late_sources: tuple[str, ...] = ()


class Move(NamedTuple):
    """To which step ("": out of it), by what, since when, when that became known, and its number."""

    step: str
    why: str
    since_ms: int
    moved_time_ms: int
    seq: int


class Records:
    """Public records, and rows of `triggers` and `decisions`, since the last `take`."""

    def __init__(self) -> None:
        self.public: list[Public] = []
        self._triggers: list[dict[str, Any]] = []
        self._decisions: list[dict[str, Any]] = []
        self._moves: list[dict[str, Any]] = []

    def take(self) -> tuple[list[Public], list[dict[str, Any]], list[dict[str, Any]]]:
        """What came out since the last call."""
        taken = self.public, self._triggers, self._decisions
        self.public, self._triggers, self._decisions = [], [], []
        return taken

    def take_moves(self) -> list[dict[str, Any]]:
        """Rows of `journey_moves` that came out since the last call."""
        taken, self._moves = self._moves, []
        return taken

    def move(self, entry: Match, version: int, one_id: str, node_id: str, to: Move) -> None:
        """Somebody goes on in a journey, or leaves it."""
        row = {"tenant": entry.tenant, "rule": entry.rule, "rule_version": version, "run": entry.trigger_id(0)}
        row |= {"one_id": one_id, "node": node_id, "entered_ms": entry.due_ms}
        self._moves.append(row | to._asdict())

    def trigger(self, about: About, route: Route, address: Address) -> None:
        """It is sent."""
        send, due_ms = about.rule.send, about.match.due_ms
        record = {
            **_common(about),
            "due_time": due_ms,
            "fired_time": about.now_ms,
            "channel": route.channel,
            "recipient": {"kind": address.kind, "scope": address.scope or None, "value": address.value},
            "content": dict(send.content),
            "expires_time": due_ms + send.expires_after,
        }
        self.public.append(Public(send.topic, about.one_id, "trigger", record))
        self._triggers.append(_trigger_row(record, send.topic, about.node_id))

    def revocation(self, about: About, reason: Why) -> None:
        """It should not have been sent."""
        common = _common(about)
        record = {name: common[name] for name in ("trigger_id", "tenant", "rule", "one_id", "business_key")}
        record |= {"reason": reason.value, "cause": common["cause"], "revoked_time": about.now_ms}
        self.public.append(Public("triggers.revoked", about.one_id, "trigger_revoked", record))

    def decision(self, about: About, verdict: str, reason: Why, defer_until: int | None = None) -> None:
        """What was decided, and why."""
        record = {
            **_common(about),
            "verdict": verdict,
            "reason": reason.value,
            "due_time": about.match.due_ms,
            "decided_time": about.now_ms,
            "defer_until": defer_until,
        }
        self.public.append(Public("decisions", about.one_id, "decision", record))
        self._decisions.append(_decision_row(record, about.node_id))


def _common(about: About) -> dict[str, Any]:
    match = about.match
    return {
        "trigger_id": match.trigger_id(about.attempt),
        "tenant": match.tenant,
        "rule": match.name,
        "rule_version": about.rule.version,
        "step": match.step(about.attempt),
        "one_id": about.one_id,
        "business_key": match.business_key,
        "cause": [*match.events, *about.more],
        "arm": about.arm,
        "late_sources": list(about.late_sources),
    }


_AS_THEY_ARE = ("trigger_id", "tenant", "rule", "rule_version", "step", "one_id", "business_key")


def _trigger_row(record: dict[str, Any], topic: str, node_id: str) -> dict[str, Any]:
    recipient = record["recipient"]
    return {
        **{name: record[name] for name in (*_AS_THEY_ARE, "channel", "arm")},
        "topic": topic,
        "node": node_id,
        "due_time_ms": record["due_time"],
        "fired_time_ms": record["fired_time"],
        "expires_time_ms": record["expires_time"],
        "recipient_kind": recipient["kind"],
        "recipient_scope": recipient["scope"] or "",
        "recipient_value": masked(recipient["kind"], recipient["value"]),
        "cause": _joined(record["cause"]),
        "late_sources": _joined(record["late_sources"]),
        "content": json.dumps(record["content"], sort_keys=True, ensure_ascii=False),
    }


def _decision_row(record: dict[str, Any], node_id: str) -> dict[str, Any]:
    return {
        **{name: record[name] for name in (*_AS_THEY_ARE, "verdict", "reason")},
        "node": node_id,
        "due_time_ms": record["due_time"],
        "decided_time_ms": record["decided_time"],
        "cause": _joined(record["cause"]),
        "late_sources": _joined(record["late_sources"]),
    }


def _joined(words: Sequence[str]) -> str:
    return ",".join(words)
