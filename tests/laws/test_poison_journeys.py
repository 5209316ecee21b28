"""A run of a journey at which our own code raises is over, is told so, and gets nothing more: no fallback either."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from streams.backtest import Shards
from streams.engine import EngineConfig, Outputs
from tests.support.frames import APP, CONTROL, ORDERS, SALT, Ev, Journal, Said, public, tables
from tests.support.journals import rules
from tests.support.planted import bad_decisions, bad_waits

HOUR = 3_600_000
NOON = 1_700_020_800_000
LANE = (ORDERS, APP, CONTROL)
WHO = (("openid", "wx", "o1"), ("phone", "", "+8613900000001"))
RULE = """
rule: newcomers
version: 1
when: { event: { of: register } }
send:
  topic: triggers.coupon
  expires_after: 7d
  channels: [{ channel: mini, to: openid }, { channel: sms, to: phone }]
journey:
  steps:
    - { step: gift, emit: {} }
    - { step: rest, wait: 2h }
    - { step: thanks, emit: { topic: triggers.message } }
"""
QUIET = """
delivery: quiet
version: 1
quiet_hours: { since: "13:00", until: "15:00" }
"""


def journal(*hours_and_statuses: tuple[int, str], policy: str = "") -> Journal:
    """A newcomer at noon, and what came of their gift so many hours later; then a day passes."""
    said = [Said(NOON, "control", rules("*", RULE))]
    said += [Said(NOON, "control", {"tenant": "*", "kind": "delivery", "text": policy})] if policy else []
    found = Journal().lane(LANE, [*said, Ev(NOON, "register", WHO, id="e1")], dict.fromkeys(LANE, NOON + 1))
    sent = next(record for _, _, subject, record in public(outputs_of(found)) if subject == "trigger")
    for hours, status in hours_and_statuses:
        at = NOON + hours * HOUR + 60_000
        receipt = {"delivery_id": f"{status}-{hours}", "tenant": "t1", "trigger_id": sent["trigger_id"]}
        receipt |= {"status": status, "channel": "mini", "time": at, "detail": ""}
        found.lane(LANE, [Said(at, "receipt", receipt)])
    return found.lane(LANE, [], dict.fromkeys(LANE, NOON + 24 * HOUR))


def outputs_of(found: Journal) -> list[Outputs]:
    shards = Shards(EngineConfig(SALT))
    return [shards.step(0, at, frame) for at, frame in enumerate(found.frames)]


def decided(outputs: Iterable[Outputs]) -> list[tuple[str, str, str]]:
    records = [record for _, _, subject, record in public(outputs) if subject == "decision"]
    return [(record["step"], record["verdict"], record["reason"]) for record in records]


def moves(outputs: Iterable[Outputs]) -> list[tuple[str, str]]:
    return [(row["step"], row["why"]) for row in tables(outputs)["journey_moves"]]


def letters(outputs: Iterable[Outputs]) -> list[dict[str, Any]]:
    return [record for _, _, subject, record in public(outputs) if subject == "dead_letter"]


GIFT = ("gift", "sent", "matched")


def test_a_run_whose_wait_raises_is_over_and_says_so() -> None:
    with bad_waits():
        outputs = outputs_of(journal())
    assert moves(outputs) == [("gift", "entered"), ("rest", "sent"), ("", "given_up")]
    assert (decided(outputs), len(letters(outputs))) == ([GIFT], 1)


def test_what_failed_after_its_run_was_given_up_goes_out_over_no_other_channel() -> None:
    with bad_waits():
        outputs = outputs_of(journal((3, "failed")))
    assert decided(outputs) == [GIFT, ("gift/fallback-1", "suppressed", "exited")]


def test_a_fallback_that_waits_for_the_morning_is_barred_too_when_its_run_is_given_up() -> None:
    with bad_waits():
        outputs = outputs_of(journal((1, "failed"), policy=QUIET))
    fallback = [(verdict, reason) for step, verdict, reason in decided(outputs) if step == "gift/fallback-1"]
    assert fallback == [("deferred", "quiet_hours"), ("suppressed", "exited")]


def test_a_purchase_is_still_the_conversion_of_what_was_sent() -> None:
    text = RULE.replace("  expires_after", "  exit_on: order_paid\n  expires_after")
    found = Journal().lane(LANE, [Said(NOON, "control", rules("*", text)), Ev(NOON, "register", WHO, id="e1")])
    found.lane(LANE, [Ev(NOON + 3 * HOUR, "order_paid", WHO, id="e2")], dict.fromkeys(LANE, NOON + 4 * HOUR))
    with bad_waits():
        outputs = outputs_of(found)
    assert decided(outputs) == [GIFT, ("gift", "converted", "ended_after_send")]


@pytest.mark.parametrize("hours", [1, 3])
def test_a_fallback_that_raises_is_given_up_alone_and_its_run_goes_on(hours: int) -> None:
    with bad_decisions(lambda match: bool(match.tried)):
        outputs = outputs_of(journal((hours, "failed")))
    assert [one[0] for one in decided(outputs)] == ["gift", "thanks"]
    assert moves(outputs)[-1] == ("", "finished")
    assert len(letters(outputs)) == 1


def test_a_run_whose_message_raises_before_it_went_out_is_over() -> None:
    with bad_decisions(lambda match: match.step(0) == "thanks"):
        outputs = outputs_of(journal((5, "failed")))
    assert decided(outputs) == [GIFT, ("gift/fallback-1", "suppressed", "exited")]
    assert moves(outputs)[-1] == ("", "given_up")
