"""A condition is true or false, and false where it can't be told."""

from __future__ import annotations

from typing import Any

import pytest

from streams.rules.conditions import FIELDS, compile_condition
from streams.rules.spec import InvalidRule

EVENT: dict[str, Any] = dict.fromkeys(FIELDS) | {"amount_fen": 5_000, "category": "鞋", "properties": {"size": "42"}}


def holds(where: str) -> bool:
    return compile_condition(where)(EVENT)


@pytest.mark.parametrize(
    "where",
    [
        "true",
        "event.amount_fen >= 5000",
        "event.amount_fen == 5000 && event.category == '鞋'",
        "event.category in ['鞋', '包']",
        "event.properties.size == '42'",
        "'size' in event.properties",
        "event.amount_fen < 1 || event.category.startsWith('鞋')",
        "!(event.amount_fen > 5000)",
    ],
)
def test_a_true_condition_holds(where: str) -> None:
    assert holds(where)


@pytest.mark.parametrize(
    "where",
    [
        "false",
        "event.amount_fen > 5000",
        "event.channel > 'a'",  # null
        "event['nosuch'] != 1",
        "event.properties.colour == 'red'",
        "event.properties.colour != 'red'",
        "event.properties.size > 40",  # text and number
        "event.amount_fen",  # no truth value
        "event.category",
        "1 / 0 == 1",
        "event.amount_fen * 9223372036854775807 > 0",  # overflow
        "event.category.matches('(')",
    ],
)
def test_what_is_false_absent_or_of_another_type_does_not_hold(where: str) -> None:
    assert not holds(where)


@pytest.mark.parametrize("amount", [None, "5000", [5_000], True])
def test_an_amount_that_is_no_number_does_not_hold(amount: Any) -> None:
    assert not compile_condition("event.amount_fen >= 5000")({"amount_fen": amount})


@pytest.mark.parametrize("where", ["", "event.", "event.a ==", "'open", "a b", "99999999999999999999 > 1"])
def test_what_does_not_parse_is_an_invalid_rule_in_one_line(where: str) -> None:
    with pytest.raises(InvalidRule, match=r"^where: ") as told:
        compile_condition(where)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("where", ["amount_fen > 1", "order.id == 1", "events.amount_fen > 1"])
def test_a_name_other_than_event_is_an_invalid_rule(where: str) -> None:
    with pytest.raises(InvalidRule, match="is not known; a condition is over event"):
        compile_condition(where)


@pytest.mark.parametrize("where", ["event.nosuch == 1", "event . nosuch != 1", "event.amount_fen > 1 || event.nosuch"])
def test_a_field_that_no_event_has_is_an_invalid_rule(where: str) -> None:
    with pytest.raises(InvalidRule, match="an event has no field nosuch"):
        compile_condition(where)


@pytest.mark.parametrize(
    "where",
    [
        "event['amount_fen'] >= 5000",
        "event.category == 'event.nosuch' || event.amount_fen == 5000",
        '"it\'s event.nosuch" != event.category',
        "event.properties.size == '42' && 'amount_fen' in event",
        "event .amount_fen > 1 && event. category != 'x'",
    ],
)
def test_every_way_to_name_a_field_hands_it_over(where: str) -> None:
    assert holds(where)


@pytest.mark.parametrize(
    "where",
    [
        "event.category != r'\\' && event.amount_fen >= 5000 && event.category != 'x'",
        "event.category != '''it's event.nosuch'''",
        "event.amount_fen >= 5000 // not event.nosuch",
    ],
)
def test_raw_texts_and_comments_are_no_fields(where: str) -> None:
    assert holds(where)
