"""Writes planned events down and keeps count of what was accepted, re-sent or refused.

In: a presence and what happens on it. Out: a list of `Sent` and three counts.
Never: decides what is true; whoever calls has decided before.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from bench.traffic.person import Presence
from bench.traffic.spec import Sent, TrafficSpec, topic_of

BLANK: Final[dict[str, Any]] = {
    "event_id": "",
    "tenant": "",
    "event_type": "",
    "event_time": 0,
    "touchpoint": "",
    "scene": None,
    "channel": None,
    "campaign": None,
    "identities": [],
    "order_id": None,
    "amount_fen": None,
    "item_id": None,
    "category": None,
    "referrer": None,
    "properties": {},
}
"""Every field of a BehaviourEvent, in the order of the contract."""

SHORTEST_LAG_MS: Final = 50
LONGEST_LAG_MS: Final = 2_500


def lag(rng: random.Random) -> int:
    """How long an event travels when nothing goes wrong, in ms."""
    return rng.randrange(SHORTEST_LAG_MS, LONGEST_LAG_MS)


@dataclass(slots=True)
class Outbox:
    """The planned (not the browsing) events of one run, in the order of planning."""

    spec: TrafficSpec
    sent: list[Sent] = field(default_factory=list)
    accepted: int = 0
    duplicates: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    _numbers: Counter[str] = field(default_factory=Counter)

    def accept(
        self, who: Presence, event_type: str, at_ms: int, received_ms: int, source: str = "", **fields: Any
    ) -> Sent:
        """Sends a sound event of `who` (on another source if given) and returns it."""
        self.accepted += 1
        event = self._event(who, event_type, at_ms, source or who.source) | fields
        return self._send(Sent(received_ms, topic_of(event["touchpoint"]), who.partition, event))

    def repeat(self, before: Sent, received_ms: int, partition: int) -> None:
        """Sends the same event once more."""
        self.duplicates += 1
        self._send(Sent(received_ms, before.topic, partition % self.spec.partitions, before.event))

    def refuse(self, reason: str, who: Presence, received_ms: int, fields: dict[str, Any], fault: str = "") -> None:
        """Sends an event that must be refused for `reason`, because of `fields` or of a fault in its bytes."""
        self.refused[reason] += 1
        event = self._event(who, "page_view", received_ms - SHORTEST_LAG_MS, who.source) | fields
        self._send(Sent(received_ms, topic_of(who.source), who.partition, event, fault))

    def _send(self, sent: Sent) -> Sent:
        self.sent.append(sent)
        return sent

    def _event(self, who: Presence, event_type: str, at_ms: int, source: str) -> dict[str, Any]:
        """A blank event of `who`. Event ids count per tenant, so two tenants use the same ones."""
        self._numbers[who.tenant] += 1
        number = self._numbers[who.tenant]
        return BLANK | {
            "event_id": f"e{number:08d}",
            "tenant": who.tenant,
            "event_type": event_type,
            "event_time": at_ms,
            "touchpoint": source,
            "identities": who.forms[number % len(who.forms)],
        }
