"""What `siyu rules lint` says of a journey: the right line, and how to mend it."""

import pytest

from streams.cli.linting import lint
from streams.rules.book import Compiled

GOOD = """
rule: newcomers
version: 1
when:
  event: { of: register }
send:
  topic: triggers.message
  expires_after: 1d
  exit_on: order_paid
  channels:
    - { channel: sms, to: phone }
journey:
  waits_for: [order]
  steps:
    - step: settle
      wait: 15m
    - step: claim
      wait_for:
        of: coupon_claimed
        where: event.amount_fen > 1
        within: 1d
        on_timeout: which
    - step: thank
      emit:
        topic: triggers.coupon
        channels: [sms]
      then: end
    - step: which
      branch:
        - where: steps.claim == "timeout"
          then: night
    - step: morning
      wait_until: "09:00"
    - step: sides
      split:
        - percent: 50
          then: night
    - step: night
      tag: owl
    - step: out
      exit: enough
"""


def test_a_journey_with_every_kind_of_step_is_good() -> None:
    assert isinstance(lint(GOOD), Compiled)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("      wait: 15m", "      wiat: 15m", "journey.steps.0.wiat is not known here: did you mean wait?"),
        ("wait: 15m", "wait: soon", "such as 90s or 1h"),
        ('wait_until: "09:00"', "wait_until: 9", 'a time of day is HH:MM in quotes, such as "09:00"'),
        ("step: thank", "step: claim # again", "claim is taken"),
        ("then: end", "then: settle", "no later step is named settle"),
        ("on_timeout: which", "on_timeout: nowhere", "no later step is named nowhere"),
        ("channels: [sms]", "channels: [mail]", "send has no channel mail; it has sms"),
        ("topic: triggers.coupon", "topic: triggers.nowhere", "there is no topic triggers.nowhere"),
        ("percent: 50", "percent: 101", "input should be less than or equal to 100"),
        ('where: steps.claim == "timeout"', "where: steps.thanks == 1", "no earlier step is named thanks"),
        ('where: steps.claim == "timeout"', "where: person.age > 1", "person has tags, traits; not age"),
        ('where: steps.claim == "timeout"', "where: event.amount > 1", "event has event_id"),
        ('where: steps.claim == "timeout"', "where: order.amount > 1", "a branch is over event, person and steps"),
        ("where: event.amount_fen > 1", "where: person.tags == 1", "a condition is over event"),
        ("waits_for: [order]", "waits_for: [moon]", "no source is named moon"),
        ("exit: enough", "exit: merged", "merged is a word of the engine's own"),
        ("exit_on: order_paid", "exit_on: register", "register can't both begin the journey and end it"),
    ],
)
def test_a_fault_is_named_with_its_line_and_its_mend(old: str, new: str, sentence: str) -> None:
    assert GOOD.count(old) == 1
    text = GOOD.replace(old, new)
    found = lint(text)
    assert isinstance(found, list), "it should have faults"
    line = next(number for number, each in enumerate(text.splitlines(), 1) if new.strip() in each)
    assert [fault.line for fault in found if sentence in fault.sentence] == [line]


def test_a_best_hour_of_a_message_that_outlasts_its_expiry_is_named() -> None:
    text = GOOD.replace("      emit:\n", "      emit:\n        best_hour_within: 2h\n        expires_after: 1h\n")
    found = lint(text)
    assert isinstance(found, list)
    assert [fault.line for fault in found] == [text.splitlines().index("        best_hour_within: 2h") + 1]
    assert found[0].sentence.startswith("journey.steps.2.emit.best_hour_within: it is longer than expires_after")


def test_a_step_that_does_two_things_is_named() -> None:
    found = lint(GOOD.replace("      wait: 15m", "      wait: 15m\n      tag: late"))
    assert isinstance(found, list)
    assert "exactly one of wait, wait_until" in found[0].sentence
    assert found[0].line == 15


def test_a_branch_asks_for_the_event_only_where_it_is_kept() -> None:
    counted = GOOD.replace("event: { of: register }", "count: { of: register, at_least: 1, within: 1d }")
    found = lint(counted.replace('where: steps.claim == "timeout"', "where: event.amount_fen > 1"))
    assert isinstance(found, list)
    assert "only a journey that begins with when.event keeps its event" in found[0].sentence


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ("date: { trait: birthday, at: 9 }", 'a time of day is HH:MM in quotes, such as "09:00"'),
        ('date: { trait: birthday, at: "09:00", leap: mar_02 }', "when.date.leap must be 'feb_28' or 'mar_01'"),
        ('date: { trait: birthday, at: "09:00", days: 181 }', "input should be less than or equal to 180"),
        ("threshold: { of: points, value: points, at_least: 1 }", "when.threshold.value must match"),
        ("threshold: { of: points, value: amount_fen }", "when.threshold.at_least is missing"),
    ],
)
def test_a_fault_in_a_date_or_a_threshold_is_named_with_its_line(when: str, sentence: str) -> None:
    found = lint(GOOD.replace("event: { of: register }", when))
    assert isinstance(found, list)
    assert [fault.line for fault in found if sentence in fault.sentence] == [5]
