"""Turns planned orders into events, so that each fate comes about as planned.

In: an `Order`. Out: its submissions, payments, cancellations and refunds in an `Outbox`.
Never: changes a fate; and never lets anything else about an order be received within 6 h after its deadline.
"""

import random
from typing import Any

from bench.traffic.fates import LONG_MS, SAFE_MS, Fate
from bench.traffic.orders import Order
from bench.traffic.outbox import Outbox, lag
from bench.traffic.spec import HOUR, MINUTE, SECOND, Sent, TrafficSpec


class OrderWriter:
    """Writes orders; times in comments are relative to the submission, W is the wait of the rule."""

    def __init__(self, spec: TrafficSpec, outbox: Outbox, rng: random.Random) -> None:
        self._spec, self._outbox, self._rng = spec, outbox, rng
        self._special = {
            Fate.PAID: self._paid,
            Fate.CANCELLED: self._cancelled,
            Fate.PAID_AT_DEADLINE: self._paid_at_deadline,
            Fate.PAID_LATE: self._paid_late,
            Fate.PAYMENT_ARRIVED_LATE: self._payment_arrived_late,
            Fate.PAYMENT_ARRIVED_FIRST: self._payment_arrived_first,
            Fate.PAID_BEFORE_SUBMITTED: self._paid_before_submitted,
            Fate.PAID_BY_FRIEND: self._paid_plainly,
            Fate.PAID_UNDER_UNLINKED_ID: self._paid_plainly,
            Fate.PAID_ELSEWHERE: self._paid_elsewhere,
            Fate.SUBMISSION_ARRIVED_LATE: self._submission_arrived_late,
            Fate.SUBMISSION_ARRIVED_EXPIRED: self._submission_arrived_expired,
            Fate.SUBMISSION_REPEATED: self._submission_repeated,
            Fate.SUBMITTED_TWICE: self._submitted_twice,
        }

    def write(self, order: Order) -> None:
        """All events of one order; what has no story of its own is submitted and never heard of again."""
        self._special.get(order.fate, self._submit)(order)

    def _paid_plainly(self, order: Order) -> None:
        self._submit(order)
        self._pay(order, self._in_wait(order, 0.1, 0.9))

    def _paid(self, order: Order) -> None:
        """Now and then the payment is sent twice, or the money goes back the same evening."""
        self._submit(order)
        paid = self._pay(order, self._in_wait(order, 0.1, 0.9))
        if self._rng.random() < 0.05:
            again_ms = paid.received_ms + self._rng.randrange(SECOND)
            self._outbox.repeat(paid, again_ms, paid.partition + self._rng.randrange(2))
        if self._rng.random() < 0.1:
            self._pay(order, self._long_after(order), event_type="order_refunded")

    def _cancelled(self, order: Order) -> None:
        self._submit(order)
        self._pay(order, self._in_wait(order, 0.1, 0.9), event_type="order_cancelled")

    def _paid_at_deadline(self, order: Order) -> None:
        """Happens and arrives in the very millisecond of the deadline, which still counts."""
        self._submit(order)
        self._pay(order, self._due(order), self._due(order))

    def _paid_late(self, order: Order) -> None:
        self._submit(order)
        self._pay(order, self._long_after(order))

    def _payment_arrived_late(self, order: Order) -> None:
        self._submit(order)
        self._pay(order, self._in_wait(order, 0.1, 0.9), self._long_after(order))

    def _payment_arrived_first(self, order: Order) -> None:
        """Paid within 0.3 W; the submission is delayed to more than 0.4 W."""
        self._submit(order, self._in_wait(order, 0.4, 0.8))
        self._pay(order, self._in_wait(order, 0.1, 0.3))

    def _paid_before_submitted(self, order: Order) -> None:
        """By the clock of the payment system, which is behind."""
        self._submit(order)
        self._pay(order, order.submitted_ms - self._rng.randrange(1, 20 * SECOND))

    def _paid_elsewhere(self, order: Order) -> None:
        self._submit(order)
        self._pay(order, self._in_wait(order, 0.1, 0.9), source=self._rng.choice(("order", "pos")))

    def _submission_arrived_late(self, order: Order) -> None:
        """1-5 h after its own deadline, and well before expiry."""
        half = self._spec.expiry_ms // 2
        late_ms = self._rng.randrange(min(HOUR, half // 2), min(LONG_MS, half))
        self._submit(order, self._due(order) + late_ms)

    def _submission_arrived_expired(self, order: Order) -> None:
        gone_ms = self._due(order) + self._spec.expiry_ms
        self._submit(order, gone_ms + self._rng.randrange(2 * HOUR, LONG_MS))

    def _submission_repeated(self, order: Order) -> None:
        sent = self._submit(order)
        again_ms = self._in_wait(order, 0.1, 0.8)
        self._outbox.repeat(sent, again_ms, sent.partition + self._rng.randrange(2))

    def _submitted_twice(self, order: Order) -> None:
        """Two events, one order_id; the first counts."""
        self._submit(order)
        second_ms = self._in_wait(order, 0.2, 0.6)
        self._outbox.accept(order.buyer, "order_submitted", second_ms, second_ms + lag(self._rng), **_fields(order))

    def _submit(self, order: Order, received_ms: int | None = None) -> Sent:
        """The submission, received at once unless told otherwise."""
        at_ms = order.submitted_ms
        arrival_ms = at_ms + lag(self._rng) if received_ms is None else received_ms
        return self._outbox.accept(order.buyer, "order_submitted", at_ms, arrival_ms, **_fields(order))

    def _pay(
        self,
        order: Order,
        at_ms: int,
        received_ms: int | None = None,
        source: str = "",
        event_type: str = "order_paid",
    ) -> Sent:
        """The payment, or what stands in its place, received at once unless told otherwise."""
        arrival_ms = at_ms + lag(self._rng) if received_ms is None else received_ms
        return self._outbox.accept(order.payer, event_type, at_ms, arrival_ms, source, **_fields(order))

    def _due(self, order: Order) -> int:
        return order.submitted_ms + self._spec.wait_ms

    def _in_wait(self, order: Order, low: float, high: float) -> int:
        """An instant within these shares of the wait."""
        return order.submitted_ms + int(self._spec.wait_ms * self._rng.uniform(low, high))

    def _long_after(self, order: Order) -> int:
        """An instant at a safe distance after the deadline."""
        return self._due(order) + SAFE_MS + self._rng.randrange(LONG_MS - MINUTE)


def _fields(order: Order) -> dict[str, Any]:
    """What every event about an order says of it."""
    return {
        "order_id": order.order_id,
        "amount_fen": order.amount_fen,
        "item_id": order.item.item_id,
        "category": order.item.category,
        "properties": {"title": order.item.title, "pay_channel": "wechat_pay"},
    }
