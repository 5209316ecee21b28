"""Where a rule asks for the best channel or hour, an explanation tells what it goes by."""

from __future__ import annotations

import pytest

from streams.delivery.zones import zone
from streams.explain.answers import answers, asks
from streams.explain.case import Case
from streams.explain.sending import Sent
from streams.journal.tables import Tables
from streams.rules.book import Book

HOUR, DAY = 3_600_000, 86_400_000
NOON = 1_700_020_800_000
RULE = """
rule: r
version: 1
when: { event: { of: register } }
send: { topic: triggers.coupon, expires_after: 1d, channels: [{ channel: sms, to: phone }] }
"""


def sent(channel: str, at: int, *, failed: bool = False, answered: bool = False, opened_ms: int = 0) -> Sent:
    return Sent(f"{channel}-{at}", "r", channel, "phone +86139****5678", at, failed, answered, opened_ms)


def test_answers_are_told_by_channel_and_by_hour() -> None:
    where = zone("Asia/Shanghai")
    assert where is not None
    sends = [
        sent("sms", NOON - 3 * DAY, answered=True, opened_ms=NOON - 3 * DAY + 8 * HOUR),
        sent("sms", NOON - 2 * DAY, answered=True, opened_ms=NOON - 2 * DAY + 8 * HOUR),
        sent("mini", NOON - DAY, failed=True),
        sent("mini", NOON - 200 * DAY, answered=True, opened_ms=NOON - 199 * DAY),
        sent("sms", NOON - DAY, answered=True),
        sent("sms", NOON, answered=True, opened_ms=NOON + HOUR),
    ]
    assert [point.text for point in answers(("mini", "sms"), sends, NOON, Case((), "", 0, NOON, {}, where))] == [
        "mini: 0 of 1 answered, 1 failed",
        "sms: 3 of 3 answered",
        "opened or clicked: 2 at 20 h",
    ]


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ("", False),
        ("  choose: best\n", True),
        ("  best_hour_within: 6h\n", True),
        ("journey: { steps: [{ step: gift, emit: { best_hour_within: 6h } }] }\n", True),
        ("journey: { steps: [{ step: gift, emit: { choose: cheapest } }] }\n", False),
    ],
)
def test_a_rule_asks_by_itself_or_by_a_step(more: str, asked: bool) -> None:
    inside = "}\n" + more if more.startswith("journey") else f", {more.strip()} }}\n" if more else "}\n"
    text = RULE.rstrip()[:-1].rstrip() + inside
    assert asks(Book(Tables()).apply("*", text)) == asked
