"""What operators and channels say while the traffic is played: commands, policies and receipts, at simulated times.

In: a traffic plan, a seed. Out: the traffic with these records among it, each behind a heartbeat of its topic; the
orders whose message a channel reported as failed. Never: an operator's word about anybody who shares an id with a
buyer: what is due to these stays what the plan says.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from bench.traffic import HEARTBEAT, Id, OrderKey, Sent, Traffic
from streams.rules.book import EVERY_TENANT
from streams.topics import COMMANDS, CONTROL, DELIVERIES
from tests.support.journals import trigger_id_of

_RULE = "unpaid-order-coupon"
_KINDS = {"unlink": 4, "link": 3, "erase": 2, "reject": 1, "release": 1}
_PAIRS = ("link", "unlink")
_COMMANDS_AN_INSTANT = 0.15
_POLICIES = 3
_STATUSES = {"opened": 3, "clicked": 4, "redeemed": 2, "failed": 2}
_HOUR_MS = 3_600_000
Person = tuple[str, list[Id]]


class Bystanders:
    """The records, drawn once. `failed`: orders whose first message was reported not to have been sent."""

    def __init__(self, traffic: Traffic, seed: int) -> None:
        self._traffic = traffic
        self._draw = random.Random(f"{seed}/bystanders")
        self._people = _without_orders(traffic)
        self._number = 0
        self._receipts = sorted(self._reported(), key=lambda sent: sent.received_ms)
        assert self._people
        self.failed: frozenset[OrderKey] = frozenset(
            (sent.event["tenant"], sent.event["detail"])
            for sent in self._receipts
            if sent.event is not None and sent.event["status"] == "failed"
        )

    def among(self, records: Iterable[Sent]) -> Iterator[Sent]:
        """These records, and behind each heartbeat of an entry topic what is said there until the next one."""
        spec, told, version = self._traffic.spec, 0, 0
        every_ms = (spec.end_ms - spec.start_ms) // _POLICIES
        for sent in records:
            yield sent
            if sent.fault != HEARTBEAT:
                continue
            if sent.topic == COMMANDS and self._draw.random() < _COMMANDS_AN_INSTANT and sent.received_ms < spec.end_ms:
                yield self._commanded(sent.received_ms + 1)
            if sent.topic == CONTROL and version < _POLICIES and sent.received_ms >= spec.start_ms + version * every_ms:
                version += 1
                yield self._ruled(version, sent.received_ms + 1)
            if sent.topic == DELIVERIES:
                due = bisect_left(self._receipts, sent.received_ms, key=lambda one: one.received_ms)
                for receipt in self._receipts[told:due]:
                    yield Sent(sent.received_ms + 1, DELIVERIES, 0, receipt.event)
                told = max(told, due)

    def _commanded(self, at_ms: int) -> Sent:
        (kind,) = self._draw.choices(list(_KINDS), list(_KINDS.values()))
        tenant, ids = self._draw.choice(self._people)
        given = self._draw.sample(ids, 2) if kind == "unlink" else [self._draw.choice(ids)]
        if kind == "link":
            given.append(self._draw.choice(self._draw.choice([one for one in self._people if one[0] == tenant])[1]))
        a, b = (*map(_wire, given), None)[:2]
        record = {"command_id": self._name("c"), "tenant": tenant, "kind": kind, "a": a, "b": b}
        return Sent(at_ms, COMMANDS, 0, record | {"who": "chaos", "why": "chaos", "time": at_ms})

    def _ruled(self, version: int, at_ms: int) -> Sent:
        """A policy blocks a value of a bystander, which the one before did not."""
        kind, _, value = self._draw.choice(self._draw.choice(self._people)[1])
        text = yaml.safe_dump({"policy": "chaos", "version": version, "blocked": [{"kind": kind, "values": [value]}]})
        record = {"control_id": self._name("p"), "tenant": EVERY_TENANT, "kind": "policy", "name": "chaos"}
        return Sent(at_ms, CONTROL, 0, record | {"version": version, "text": text, "who": "chaos", "time": at_ms})

    def _reported(self) -> Iterator[Sent]:
        """A receipt for every coupon that is due and stands, some hours later; `detail` names the order."""
        truth = self._traffic.truth
        for (tenant, order), due_ms in sorted(truth.fires.items()):
            (status,) = self._draw.choices(list(_STATUSES), list(_STATUSES.values()))
            at_ms = due_ms + self._draw.randrange(_HOUR_MS // 60, 8 * _HOUR_MS)
            record = {"delivery_id": self._name("d"), "tenant": tenant, "status": status, "time": at_ms}
            record |= {"trigger_id": trigger_id_of(tenant, _RULE, 0, order), "channel": "", "detail": order}
            yield Sent(at_ms, DELIVERIES, 0, record)

    def _name(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._number}"


def _without_orders(traffic: Traffic) -> list[Person]:
    """Tenant and ids of those who share no id with anybody who orders or pays, two ids at least."""
    buying = {
        (order.tenant, one)
        for order in traffic.orders
        for presence in (order.buyer, order.payer)
        for one in (*presence.ids, *presence.beside)
    }
    buying |= {(traffic.truth.story[0], one) for one in _of_story(traffic)}
    components = [(tenant, ids) for tenant, groups in traffic.truth.sharing.items() for ids in groups]
    found = [(tenant, sorted(ids)) for tenant, ids in components if buying.isdisjoint((tenant, one) for one in ids)]
    return [(tenant, ids) for tenant, ids in found if len(ids) > 1]


def _of_story(traffic: Traffic) -> frozenset[Id]:
    tenant, unionid = traffic.truth.story
    return next(ids for ids in traffic.truth.persons[tenant] if any(one[2] == unionid for one in ids))


def _wire(one: Id) -> dict[str, Any]:
    kind, scope, value = one
    return {"kind": kind, "scope": scope or None, "value": value}
