"""What a run left behind, asked from outside: the public topics from their start, and ClickHouse by its socket.

In: settings of a stack that is up. Out: records and answers. Never: a filter on a topic; a worker's own count.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from bench.traffic import Truth
from bench.verdict import Node
from schemas.codec import decode_one
from schemas.masking import keyed_hash
from sinks.serve import ask
from streams.settings import Settings
from streams.topics import DEADLETTER
from streams.worker.clients import read, registry_of


class Findings:
    """Questions to the stack of these settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = registry_of(settings)
        self._salt = settings.salt.get_secret_value().encode()

    def topic(self, name: str) -> list[dict[str, Any]]:
        """Every record of a public topic, decoded."""
        starts = dict.fromkeys(range(self._settings.kafka.shards), 0)
        return [decode_one(record.value, self._registry) for record in read(self._settings, name, starts)]

    def events(self, truth: Truth, sent: int) -> dict[str, Any]:
        """Accepted, duplicate and refused, as stored, and whether that is what the plan says."""
        stored = self._ask("SELECT count() FROM siyu.events")[0][0]
        refused = Counter(letter["reason"] for letter in self.topic(DEADLETTER))
        right = stored == truth.accepted and refused == truth.refused
        return {
            "in": sent,
            "accepted": stored,
            "duplicate": sent - stored - refused.total(),
            "refused": dict(sorted(refused.items())),
            "planned": {
                "accepted": truth.accepted,
                "duplicate": truth.duplicates,
                "refused": truth.refused.total(),
            },
            "right": right and sent - stored - refused.total() == truth.duplicates,
        }

    def persons(self, truth: Truth) -> dict[Node, str]:
        """The person of each id that the truth knows, by today's identity; ids that are not stored are left out."""
        stored = dict(self._ask("SELECT node, one_id FROM siyu.identity_now"))
        known = {
            (tenant, *i)
            for groups in (truth.persons, truth.sharing)
            for tenant in groups
            for ids in groups[tenant]
            for i in ids
        }
        hashed = {node: keyed_hash("\x1f".join(node), self._salt) for node in known}
        return {node: stored[name] for node, name in hashed.items() if name in stored}

    def not_sent(self) -> dict[str, int]:
        """Suppressed decisions by reason."""
        rows = self._ask(
            "SELECT reason, count() FROM siyu.decisions WHERE verdict = 'suppressed' GROUP BY reason ORDER BY 1"
        )
        return dict(rows)

    def path(self, tenant: str, unionid: str) -> list[dict[str, Any]]:
        """One customer's path across touchpoints in time order."""
        node = keyed_hash("\x1f".join((tenant, "unionid", "", unionid)), self._salt)
        rows = self._ask(
            "SELECT event_time_ms, touchpoint, event_type, order_id, amount_fen, item_id FROM siyu.customer_path "
            f"WHERE one_id IN (SELECT one_id FROM siyu.identity_now WHERE node = '{node}') "
            "ORDER BY event_time_ms, event_id"
        )
        names = ("time_ms", "touchpoint", "event", "order_id", "amount_fen", "item_id")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _ask(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        return ask(self._settings.query_socket, sql).rows
