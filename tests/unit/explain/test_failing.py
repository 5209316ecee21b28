"""Which part of a condition does not hold, and what the event has there."""

import pytest

from streams.explain.failing import conjuncts, failing

EVENT = {
    "event_id": "e1",
    "tenant": "t1",
    "event_type": "product_view",
    "event_time": 1,
    "touchpoint": "app",
    "scene": None,
    "channel": None,
    "campaign": None,
    "order_id": None,
    "amount_fen": 4_900,
    "item_id": None,
    "category": "toys",
    "properties": {"page": "home"},
}


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("true", ""),
        ("event.amount_fen >= 4900 && event.category == 'toys'", ""),
        ("event.amount_fen >= 5000", "`event.amount_fen >= 5000` does not hold: event.amount_fen is 4900"),
        (
            "event.amount_fen > 0 && event.category == 'paper'",
            "`event.category == 'paper'` does not hold: event.category is \"toys\"",
        ),
        ('event.scene == "1001"', '`event.scene == "1001"` does not hold: event.scene is not there'),
        (
            'event.properties.page == "cart"',
            '`event.properties.page == "cart"` does not hold: event.properties.page is "home"',
        ),
        (
            'event.properties["grade"] == "12"',
            '`event.properties["grade"] == "12"` does not hold: event.properties["grade"] is not there',
        ),
        ("false", "`false` does not hold"),
    ],
)
def test_the_part_that_fails_is_named_with_its_values(where: str, told: str) -> None:
    assert failing(where, EVENT) == told


@pytest.mark.parametrize(
    ("where", "parts"),
    [
        ("a && b && c", ["a", "b", "c"]),
        ("(a && b) && c", ["(a && b)", "c"]),
        ("a && b || c", ["a && b || c"]),
        ("a ? b && c : d", ["a ? b && c : d"]),
        ("x == '&&' && y", ["x == '&&'", "y"]),
        ('x == "\\" && " && y', ['x == "\\" && "', "y"]),
        ("[a && b].all(x, x && y) && z", ["[a && b].all(x, x && y)", "z"]),
    ],
)
def test_only_what_stands_on_the_outermost_level_is_cut(where: str, parts: list[str]) -> None:
    assert conjuncts(where) == parts
