"""What `siyu publish` takes as an event, and what it says about what it doesn't."""

import json
from typing import Any

import pytest

from schemas.codec import decode_one, encode
from schemas.registry import LocalRegistry
from streams.cli.lines import BadLine, parse_line

LEAST: dict[str, Any] = {
    "event_id": "e1",
    "tenant": "acme",
    "event_type": "order_paid",
    "event_time": 1_700_000_000_000,
    "touchpoint": "miniprogram",
    "identities": [],
}


def line(**changes: Any) -> str:
    return json.dumps(LEAST | changes)


def why(text: str) -> str:
    with pytest.raises(BadLine) as refused:
        parse_line(text)
    return str(refused.value)


def test_optional_fields_are_filled_in() -> None:
    event = parse_line(line()).event
    assert event["scene"] is None
    assert event["amount_fen"] is None
    assert event["properties"] == {}


def test_a_parsed_event_is_one_that_avro_takes_and_gives_back() -> None:
    identities = [{"kind": "openid", "scope": "wx1", "value": "o1"}, {"kind": "phone", "value": "13900001111"}]
    text = line(identities=identities, amount_fen=5000, referrer=identities[0], properties={"颜色": "红"})
    event = parse_line(text).event
    registry = LocalRegistry()
    assert decode_one(encode("behaviour_event", event, registry.id_of("behaviour_event")), registry) == event


def test_what_stands_beside_the_fields_is_told_apart() -> None:
    parsed = parse_line(line(received_ms=17, source="pos"))
    assert (parsed.received_ms, parsed.source) == (17, "pos")
    assert "source" not in parsed.event


def test_defaults_are_not_shared_between_events() -> None:
    parse_line(line()).event["properties"]["a"] = "b"
    assert parse_line(line()).event["properties"] == {}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"event_time": "2026-01-01"}, "event_time is text, it must be a whole number"),
        ({"event_time": 1.5}, "event_time is a number with a fraction, it must be a whole number"),
        ({"event_time": True}, "event_time is true or false, it must be a whole number"),
        ({"event_time": None}, "event_time is null, it must be a whole number"),
        ({"event_time": 1 << 63}, "event_time is out of range"),
        ({"event_id": 7}, "event_id is a number, it must be text"),
        ({"amount_fen": "12.50"}, "amount_fen is text, it must be a whole number"),
        ({"identities": {}}, "identities is an object, it must be an array"),
        ({"identities": [{"kind": "phone"}]}, "identities[0].value is missing"),
        ({"identities": [{"kind": "phone", "value": 139}]}, "identities[0].value is a number, it must be text"),
        ({"identities": ["a"]}, "identities[0] is text, it must be an object"),
        ({"referrer": "a"}, "referrer is text, it must be an object"),
        ({"properties": {"a": 1}}, "properties.a is a number, it must be text"),
        ({"amount_fn": 1}, "there is no field amount_fn: did you mean amount_fen?"),
        ({"colour": "red"}, "there is no field colour; what has no field of its own goes into properties"),
        ({"received_ms": "now"}, "received_ms is text, it must be a whole number"),
        ({"received_ms": -1}, "received_ms is out of range"),
        ({"source": 1}, "source is a number, it must be text"),
    ],
)
def test_a_wrong_field_is_named_with_its_mend(changes: dict[str, Any], sentence: str) -> None:
    assert why(line(**changes)) == sentence


@pytest.mark.parametrize("name", ["event_id", "tenant", "event_type", "event_time", "touchpoint"])
def test_a_missing_field_is_named(name: str) -> None:
    text = json.dumps({key: value for key, value in LEAST.items() if key != name})
    assert why(text) == f"{name} is missing"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not JSON"),
        ("[1]", "a line is one JSON object, this is an array"),
        ('{"event_time": NaN}', "not JSON: NaN is no number"),
        ('{"a": 1, "a": 2}', "a stands there twice"),
        (line(event_id="\ud800"), "surrogate"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_line_that_is_no_object_is_told_so(text: str, sentence: str) -> None:
    assert sentence in why(text)


def test_no_message_holds_the_value_of_an_id() -> None:
    text = line(identities=[{"kind": "phone", "value": ["13912345678"]}])
    assert "139" not in why(text)
