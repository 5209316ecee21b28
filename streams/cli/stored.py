"""What the database says of one tenant's persons, events, decisions and sends, for an explanation.

In: settings, a tenant, ids. Out: the types of `streams.explain`. Never: a change; a phone in plain: the database has
none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sinks.statements import render
from streams.cli.failure import Failure
from streams.cli.query import answer_of
from streams.delivery.policy import DeliveryPolicy
from streams.engage.sending import ANSWERS
from streams.explain.case import Happening
from streams.explain.journey import Moved
from streams.explain.sending import Decided, KnownId, Sent
from streams.rules import kinds
from streams.rules.book import Compiled
from streams.settings import Settings

_MOST = 1_000
_NOW = "SELECT one_id FROM siyu.identity_now WHERE tenant = %(tenant)s AND node = %(node)s"
_FIELDS = (
    *("event_id", "event_type", "event_time_ms", "received_ms", "touchpoint", "scene", "channel", "campaign"),
    *("order_id", "amount_fen", "item_id", "category", "properties", "node", "set_aside"),
)
_EMPTY_IS_NULL = ("scene", "channel", "campaign", "order_id", "item_id", "category")


class Stored:
    """The database's answers about one tenant. Every call may raise SinkUnavailable."""

    def __init__(self, settings: Settings, tenant: str) -> None:
        self._settings = settings
        self._tenant = tenant

    def _ask(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        answer = answer_of(render(sql, {"tenant": self._tenant, **parameters}), self._settings)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def buyer(self, order: str) -> str:
        """The one_id, today, of the first event of this order. Raises Failure where no event names it."""
        sql = """
            SELECT node, one_id FROM siyu.events WHERE tenant = %(tenant)s AND order_id = %(order)s
            ORDER BY event_time_ms LIMIT 1"""
        rows = self._ask(sql, order=order)
        if not rows:
            raise Failure(f"no event of {self._tenant} names order {order}")
        return self.today(rows[0]["node"], rows[0]["one_id"])

    def today(self, node: str, one_id: str) -> str:
        """The one_id that the node has now; the given one where the map has never named it."""
        rows = self._ask(_NOW, node=node)
        return str(rows[0]["one_id"]) if rows else one_id

    def ids(self, one_id: str) -> dict[str, KnownId]:
        """The ids of this person today, by node."""
        sql = """
            SELECT node, argMax(kind, seq) AS k, argMax(scope, seq) AS s, argMax(value, seq) AS v,
                argMax(one_id, seq) AS now, max(seq) AS newest
            FROM siyu.identity_map
            WHERE tenant = %(tenant)s AND node IN (
                SELECT node FROM siyu.identity_map WHERE tenant = %(tenant)s AND one_id = %(one_id)s)
            GROUP BY node ORDER BY newest"""
        rows = self._ask(sql, one_id=one_id)
        return {row["node"]: KnownId(row["k"], row["s"], row["v"]) for row in rows if row["now"] == one_id}

    def trigger(self, trigger_id: str) -> dict[str, Any]:
        """The last decision under this id: tenant, rule, business_key, node, one_id, cause. Raises Failure."""
        sql = """
            SELECT tenant, rule, business_key, node, one_id, cause FROM siyu.decisions WHERE trigger_id = %(trigger_id)s
            ORDER BY decided_time_ms DESC LIMIT 1"""
        rows = self._ask(sql, trigger_id=trigger_id)
        if not rows:
            raise Failure(f"no decision has trigger_id {trigger_id}")
        return rows[0]

    def happened(self, compiled: Compiled, policy: DeliveryPolicy, nodes: Sequence[str], order: str) -> list[Happening]:
        """The newest events that the rule hears, of these nodes and of their orders (of `order` alone if named)."""
        rule = _heard(compiled)
        types = [*rule, *_opening(policy)]
        rows = self._events(nodes, types, "node", nodes) if nodes and types else []
        if isinstance(kind := compiled.rule.when.kind, kinds.Absence) and kind.same == "order_id":
            orders = [order] if order else sorted({row["order_id"] for row in rows if row["order_id"]})[-_MOST:]
            rows += self._events(nodes, rule, "order_id", orders) if orders else []
        found = {row["event_id"]: _happening(row, self._tenant, nodes) for row in rows}
        return sorted(found.values(), key=lambda one: one.time_ms)

    def _events(
        self, nodes: Sequence[str], types: Sequence[str], by: str, values: Sequence[str]
    ) -> list[dict[str, Any]]:
        sql = f"""
            SELECT {", ".join(_FIELDS)} FROM siyu.events
            WHERE tenant = %(tenant)s AND event_type IN {_listed(types)} AND {by} IN {_listed(values)}
            ORDER BY event_time_ms DESC LIMIT {_MOST}"""
        return self._ask(sql, **_named(types), **_named(values))

    def decisions(self, rule: str, nodes: Sequence[str], order: str) -> list[Decided]:
        """Decisions of this rule on these nodes, or on this order; the oldest first."""
        by, values = ("business_key", [order]) if order else ("node", nodes)
        if not values:
            return []
        sql = f"""
            SELECT trigger_id, rule_version, step, business_key, verdict, reason, due_time_ms, decided_time_ms, cause,
                late_sources
            FROM siyu.decisions WHERE tenant = %(tenant)s AND rule = %(rule)s AND {by} IN {_listed(values)}
            ORDER BY decided_time_ms, journal_offset"""
        rows = self._ask(sql, rule=rule, **_named(values))
        return [_decided(row) for row in rows]

    def moves(self, rule: str, nodes: Sequence[str]) -> list[Moved]:
        """The moves of all runs of this journey that one of these nodes was in, the oldest first."""
        if not nodes:
            return []
        sql = f"""
            SELECT run, rule_version, entered_ms, step, why, since_ms FROM siyu.journey_moves
            WHERE tenant = %(tenant)s AND rule = %(rule)s AND run IN (
                SELECT run FROM siyu.journey_moves
                WHERE tenant = %(tenant)s AND rule = %(rule)s AND node IN {_listed(nodes)})
            ORDER BY seq DESC LIMIT {_MOST}"""
        names = ("run", "rule_version", "entered_ms", "step", "why", "since_ms")
        return [Moved(*(row[name] for name in names)) for row in reversed(self._ask(sql, rule=rule, **_named(nodes)))]

    def sends(self, nodes: Sequence[str]) -> list[Sent]:
        """All that these nodes were sent, of any rule."""
        if not nodes:
            return []
        sql = f"""
            SELECT trigger_id, rule, channel, recipient_kind, recipient_value, fired_time_ms FROM siyu.triggers
            WHERE tenant = %(tenant)s AND node IN {_listed(nodes)} ORDER BY fired_time_ms"""
        rows = self._ask(sql, **_named(nodes))
        told = self._reports([row["trigger_id"] for row in rows])
        return [_sent(row, told.get(row["trigger_id"], {})) for row in rows]

    def _reports(self, trigger_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """By trigger: the statuses that were reported, in that order, each with its first time."""
        if not trigger_ids:
            return {}
        sql = f"""
            SELECT trigger_id, status, event_time_ms FROM siyu.deliveries
            WHERE tenant = %(tenant)s AND trigger_id IN {_listed(trigger_ids)}
            ORDER BY journal_offset, event_time_ms"""
        found: dict[str, dict[str, int]] = {}
        for row in self._ask(sql, **_named(trigger_ids)):
            found.setdefault(row["trigger_id"], {}).setdefault(row["status"], row["event_time_ms"])
        return found


def _decided(row: Mapping[str, Any]) -> Decided:
    named = {name: row[name] for name in ("trigger_id", "rule_version", "step", "business_key", "verdict", "reason")}
    times = {"due_ms": row["due_time_ms"], "decided_ms": row["decided_time_ms"]}
    late = tuple(filter(None, row["late_sources"].split(",")))
    return Decided(**named, **times, cause=tuple(row["cause"].split(",")), late_sources=late)


def _sent(row: Mapping[str, Any], reports: Mapping[str, int]) -> Sent:
    recipient = f"{row['recipient_kind']} {row['recipient_value']}"
    answer = next((status for status in reports if status in ANSWERS), None)
    opened_ms = reports[answer] if answer is not None and answer != "redeemed" else 0
    about = (row["trigger_id"], row["rule"], row["channel"], recipient, row["fired_time_ms"])
    return Sent(*about, "failed" in reports, answer is not None, opened_ms)


def _heard(compiled: Compiled) -> list[str]:
    types = [name for _, names, _ in compiled.rule.when.kind.clauses for name in names]
    return list(dict.fromkeys([*types, *compiled.rule.send.exit_on]))


def _opening(policy: DeliveryPolicy) -> list[str]:
    return sorted({window.event for spec in policy.channels.values() for window in spec.reply_windows})


def _named(values: Sequence[str]) -> dict[str, str]:
    return {_name(value): value for value in values}


def _listed(values: Sequence[str]) -> str:
    return f"({', '.join(f'%({_name(value)})s' for value in values)})"


def _name(value: str) -> str:
    return f"v{value.encode().hex()}"


def _happening(row: Mapping[str, Any], tenant: str, nodes: Sequence[str]) -> Happening:
    fields = {name: (row[name] or None if name in _EMPTY_IS_NULL else row[name]) for name in _FIELDS}
    fields |= {"tenant": tenant, "event_time": row["event_time_ms"]}
    fields["properties"] = json.loads(row["properties"]) if row["properties"] else {}
    times = row["event_time_ms"], row["received_ms"]
    return Happening(row["event_id"], row["event_type"], *times, fields, row["node"] in nodes, row["set_aside"])
