"""Each wrong field of a rule gives one sentence that names its place; the file that ships is right."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.rules.book import compile_rule
from streams.rules.kinds import Absence
from streams.rules.spec import InvalidRule, Rule, parse_rule

TEXT = (Path(__file__).parents[3] / "deploy" / "rules" / "unpaid-order-coupon.yaml").read_text()
MISSING = object()
WHEN, SEND = "when.absence.", "send."

WRONG: list[tuple[str, Any, str]] = [
    ("rule", MISSING, "rule: Field required"),
    ("rule", "Coupon", "rule: String should match"),
    ("rule", "a" * 65, "rule: String should match"),
    ("rule", "1st", "rule: String should match"),
    ("version", MISSING, "version: Field required"),
    ("version", 0, "version: Input should be greater than or equal to 1"),
    ("version", 2**31, "version: Input should be less than or equal to 2147483647"),
    ("version", "new", "version: Input should be a valid integer"),
    ("priority", -1, "priority: Input should be greater than or equal to 0"),
    ("priority", 1_001, "priority: Input should be less than or equal to 1000"),
    ("when", MISSING, "when: Field required"),
    ("when", {}, "when: Value error, when has exactly one of absence, event, "),
    ("send", MISSING, "send: Field required"),
    ("owner", "me", "owner: Extra inputs are not permitted"),
    (WHEN + "after", MISSING, "when.absence.after: Field required"),
    (WHEN + "after", "Order Submitted", "when.absence.after: String should match"),
    (WHEN + "after", "order_paid", "when.absence.of: order_paid can't both start and end the wait"),
    (WHEN + "of", [], "when.absence.of: "),
    (WHEN + "of", ["order_paid", "?"], "when.absence.of.1: String should match"),
    (WHEN + "within", MISSING, "when.absence.within: Field required"),
    (WHEN + "within", 60, "when.absence.within: Value error, a duration is a whole number with s, m, h or d"),
    (WHEN + "within", "1.5h", "when.absence.within: Value error, a duration is a whole number"),
    (WHEN + "within", "1w", "when.absence.within: Value error, a duration is a whole number"),
    (WHEN + "within", "-1h", "when.absence.within: Value error, a duration is a whole number"),
    (WHEN + "within", "0s", "when.absence.within: Input should be greater than 0"),
    (WHEN + "within", "367d", "when.absence.within: Input should be less than or equal to 31622400000"),
    (WHEN + "same", "uid", "when.absence.same: Input should be 'order_id' or 'person'"),
    (WHEN + "where", True, "when.absence.where: Input should be a valid string"),
    (WHEN + "where", "event.amount_fen >=", "when.absence.where: Failed to parse expression"),
    (WHEN + "where", "order.amount_fen > 1", "when.absence.where: order is not known; a condition is over event"),
    (WHEN + "where", "x" * 4_097, "when.absence.where: String should have at most 4096 characters"),
    (WHEN + "waits_for", "order", "when.absence.waits_for: Input should be a valid tuple"),
    (WHEN + "waits_for", ["nosuch"], "when.absence.waits_for: no source is named nosuch; there are "),
    (WHEN + "until", "1h", "when.absence.until: Extra inputs are not permitted"),
    (SEND + "topic", "coupons", "send.topic: String should match"),
    (SEND + "topic", "triggers.", "send.topic: String should match"),
    (SEND + "topic", "triggers.revoked", "send.topic: Value error, triggers.revoked carries revocations"),
    (SEND + "topic", "triggers.nosuch", "send.topic: there is no topic triggers.nosuch; there are "),
    (SEND + "expires_after", "soon", "send.expires_after: Value error, a duration is a whole number"),
    (SEND + "channels", [], "send.channels: "),
    (SEND + "content", {"coupon_fen": 1_000}, "send.content.coupon_fen: Input should be a valid string"),
]


NOISY: list[tuple[str, Any, str]] = [
    (SEND + "channels", [{"channel": "sms", "to": "fax"}], "send.channels.0.to: Input should be 'uid'"),
    (SEND + "channels", [{"channel": "S M S", "to": "phone"}], "send.channels.0.channel: String should match"),
    (SEND + "channels", [{"channel": "sms"}], "send.channels.0.to: Field required"),
]


def _with(path: str, value: Any) -> str:
    document = copy.deepcopy(yaml.safe_load(TEXT))
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place[name]
    place.pop(last, None)
    if value is not MISSING:
        place[last] = value
    return yaml.safe_dump(document)


@pytest.mark.parametrize(("path", "value", "sentence"), [*WRONG, *NOISY])
def test_a_wrong_field_is_named_in_one_sentence(path: str, value: Any, sentence: str) -> None:
    with pytest.raises(InvalidRule) as told:
        compile_rule(_with(path, value))
    assert str(told.value).startswith(sentence)
    assert "\n" not in str(told.value)
    assert ";" not in str(told.value).removeprefix(sentence)


@pytest.mark.parametrize("text", ["", "[1]", "rule", "42"])
def test_a_document_that_is_no_rule_is_named_as_the_document(text: str) -> None:
    with pytest.raises(InvalidRule, match=r"^the document: "):
        parse_rule(text)


def test_two_wrong_fields_give_two_sentences() -> None:
    with pytest.raises(InvalidRule, match=r"^version: .*; priority: "):
        parse_rule(TEXT.replace("version: 1", "version: 0").replace("priority: 100", "priority: -1"))


def test_the_rule_that_ships_says_what_it_should() -> None:
    rule = compile_rule(TEXT).rule
    absence = rule.when.absence
    assert absence is not None
    assert absence.of == ("order_paid", "order_cancelled")
    assert (absence.within, rule.send.expires_after) == (3_600_000, 86_400_000)
    assert [channel.to for channel in rule.send.channels] == ["openid", "external_userid", "phone"]


@pytest.mark.parametrize(
    ("text", "ms"), [("90s", 90_000), ("5m", 300_000), ("1h", 3_600_000), ("366d", 31_622_400_000)]
)
def test_durations_are_read_in_milliseconds(text: str, ms: int) -> None:
    assert _absence(parse_rule(_with(WHEN + "within", text))).within == ms


def test_one_event_type_may_stand_without_a_list() -> None:
    assert _absence(parse_rule(_with(WHEN + "of", "order_paid"))).of == ("order_paid",)


def _absence(rule: Rule) -> Absence:
    assert rule.when.absence is not None
    return rule.when.absence


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ("{count: {of: a, within: 1d}}", "when.count.at_least: Field required"),
        ("{count: {of: a, within: 1d, at_least: 0}}", "when.count.at_least: Input should be greater than"),
        ("{count: {of: a, within: 1d, at_least: 1, value: x}}", "when.count.value: Extra inputs are not permitted"),
        ("{sum: {of: a, within: 1d, at_least: 1}}", "when.sum.value: Field required"),
        ("{sum: {of: a, within: 1d, at_least: 1, value: price}}", "when.sum.value: String should match pattern"),
        ("{distinct: {of: a, within: 1d, at_least: 1}}", "when.distinct.value: Field required"),
        ("{sequence: {steps: [{event: a}], within: 1d}}", "when.sequence.steps: Tuple should have at least 2 items"),
        (
            "{sequence: {steps: [{event: a}, {event: a}], within: 1d}}",
            "when.sequence: Value error, each step needs an event type of its own",
        ),
        (
            "{sequence: {steps: [{event: a}, {event: b, where: 'event.'}], within: 1d}}",
            "when.sequence.steps.1.where: Failed to parse",
        ),
        ("{interval: {since: a, until: a, at_most: 1h}}", "when.interval: Value error, since and until are the same"),
        (
            "{interval: {since: a, until: b, at_least: 2h, at_most: 1h}}",
            "when.interval: Value error, at_least is more than at_most",
        ),
        ("{event: {of: a, where: 'event.price > 1'}}", "when.event.where: an event has no field price"),
        ("{event: {of: a}, count: {of: a, within: 1d, at_least: 1}}", "when: Value error, when has exactly one of"),
    ],
)
def test_each_kind_of_rule_names_what_is_wrong_with_it(when: str, sentence: str) -> None:
    with pytest.raises(InvalidRule) as told:
        compile_rule(_with("when", yaml.safe_load(when)))
    assert str(told.value).startswith(sentence)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (r'"\ud83d\ude00"', r"not YAML: \ud83d is half a character"),
        (r'"\U0000DFFF"', r"not YAML: \U0000DFFF is half a character"),
        (":".join(["1"] * 200) + ".0", "not YAML: int too large to convert to float"),
    ],
)
def test_what_no_record_can_hold_and_what_the_loader_stumbles_over_is_refused(said: str, sentence: str) -> None:
    with pytest.raises(InvalidRule) as caught:
        parse_rule(TEXT + f"\ndescription: {said}\n")
    assert sentence in str(caught.value)
