"""How long an order is remembered after its last news, and that it is forgotten then."""

from __future__ import annotations

import pytest

from streams.engine import Engine
from tests.support.frames import Ev, Journal, by_topic, fold
from tests.support.journals import rule_text
from tests.support.stories import BASE, COUPON

DAY = 86_400_000
WX = (("openid", "wx", "o1"),)


def _orders(engine: Engine) -> list[str]:
    return [*engine.tables.table("instances"), *engine.tables.table("timers")]


def _sent() -> Journal:
    return Journal().rule(rule_text(COUPON)).add(Ev(BASE, "order_submitted", WX, "o1"), until=BASE + 5_000)


@pytest.mark.parametrize(("days", "revoked"), [(29, 1), (31, 0)])
def test_a_payment_in_time_revokes_for_thirty_days(days: int, revoked: int) -> None:
    journal = _sent().add(Ev(BASE + days * DAY, "order_paid", order="o1", time=BASE + 1))
    _, outputs = fold(journal.frames)
    assert len(by_topic(outputs).get("triggers.revoked", [])) == revoked


def test_a_sent_order_is_kept_for_thirty_days_after_its_deadline_and_then_forgotten() -> None:
    journal = _sent().add(until=BASE + 5_000 + 30 * DAY)
    assert len(_orders(fold(journal.frames)[0])) == 2
    journal.add(until=BASE + 5_001 + 30 * DAY)
    assert _orders(fold(journal.frames)[0]) == []


def test_a_payment_without_an_order_prevents_for_thirty_days_and_is_then_forgotten() -> None:
    journal = Journal().rule(rule_text(COUPON)).add(Ev(BASE, "order_paid", order="o1"), until=BASE + 30 * DAY)
    engine, _ = fold(journal.frames)
    assert len(_orders(engine)) == 2
    journal.add(Ev(BASE + 30 * DAY, "order_submitted", WX, "o1"), until=BASE + 30 * DAY + 5_000)
    assert by_topic(fold(journal.frames)[1]).get("decisions", []) == []
    journal.add(until=BASE + 61 * DAY)
    assert _orders(fold(journal.frames)[0]) == []


def test_a_prevented_order_is_forgotten_too() -> None:
    journal = Journal().rule(rule_text(COUPON))
    journal.add(Ev(BASE, "order_submitted", WX, "o1"), Ev(BASE, "order_paid", order="o1"), until=BASE + 31 * DAY)
    assert _orders(fold(journal.frames)[0]) != []
    journal.add(until=BASE + 62 * DAY)
    assert _orders(fold(journal.frames)[0]) == []


@pytest.mark.parametrize("more", ["  quiet_hours: policy\n", "journey: {steps: [{step: gift, emit: {}}]}\n"])
def test_an_order_whose_match_was_deferred_or_began_a_journey_is_forgotten_too(more: str) -> None:
    quiet = """{delivery: p, version: 1, zone: UTC, quiet_hours: {since: "00:00", until: "23:59"}}"""
    journal = Journal().rule(rule_text(COUPON) + more)
    journal.add(entries=[{"tenant": "*", "kind": "delivery", "text": quiet}])
    journal.add(Ev(BASE, "order_submitted", WX, "o1"), until=BASE + 5_000)
    assert len(_orders(fold(journal.frames)[0])) >= 2
    journal.add(until=BASE + DAY).add(until=BASE + 62 * DAY)
    assert _orders(fold(journal.frames)[0]) == []


VIEWED = """
rule: viewed
version: 1
when: {count: {of: a, at_least: 2, within: 1d}}
send: {topic: triggers.coupon, expires_after: 1h, channels: [{channel: mini, to: openid}]}
"""


def test_what_counts_is_kept_for_its_window_and_a_week_and_then_forgotten() -> None:
    journal = Journal().rule(VIEWED).add(Ev(BASE, "a", WX), until=BASE + 8 * DAY - 1)
    assert len(fold(journal.frames)[0].tables.table("histories")) == 1
    journal.add(until=BASE + 8 * DAY)
    engine, _ = fold(journal.frames)
    assert (engine.tables.table("histories"), engine.tables.table("timers")) == ({}, {})


def test_what_was_sent_is_kept_for_receipts_for_thirty_days_and_then_forgotten() -> None:
    journal = Journal().rule(VIEWED).add(Ev(BASE, "a", WX), Ev(BASE, "a", WX), until=BASE + 30 * DAY)
    tables = fold(journal.frames)[0].tables
    assert (len(tables.table("matches")), len(tables.table("sent"))) == (1, 1)
    journal.add(until=BASE + 30 * DAY + 1)
    tables = fold(journal.frames)[0].tables
    assert (tables.table("matches"), tables.table("sent"), tables.table("timers")) == ({}, {}, {})
    assert len(tables.table("sends")) == 1
