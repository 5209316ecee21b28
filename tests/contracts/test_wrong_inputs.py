"""Every wrong input that we could think of: refused for the right reason, or accepted by a stated rule.

`docs/events.md` states the rules. A refused record is one dead letter with its raw bytes; its neighbours pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.codec import encode, frame
from schemas.registry import LocalRegistry
from streams.ingest.align import Cut
from streams.ingest.intake import Batch, Intake
from streams.ingest.record import RawRecord
from streams.ingest.validate import Limits
from streams.journal.frame import Progress, RawRange

REGISTRY = LocalRegistry()
NOW = 1_773_100_800_000
DAY = 86_400_000
TOPIC = "events.raw.app"
Event = dict[str, Any]


def good(**changes: Any) -> Event:
    """An event that passes, with these fields changed."""
    usual: Event = {
        "event_id": "e1",
        "tenant": "lumi_tea",
        "event_type": "order_paid",
        "event_time": NOW,
        "touchpoint": "app",
        "scene": None,
        "channel": None,
        "campaign": None,
        "identities": [{"kind": "uid", "scope": None, "value": "u1"}],
        "order_id": "o1",
        "amount_fen": 100,
        "item_id": None,
        "category": None,
        "referrer": None,
        "properties": {},
    }
    return usual | changes


def message(**changes: Any) -> bytes:
    """That event as a producer writes it."""
    return encode("behaviour_event", good(**changes), REGISTRY.id_of("behaviour_event"))


def ids(number: int) -> list[Event]:
    """So many different identities."""
    return [{"kind": "uid", "scope": None, "value": f"u{n}"} for n in range(number)]


def one(kind: str, value: str, scope: str | None = None) -> list[Event]:
    """A single identity."""
    return [{"kind": kind, "scope": scope, "value": value}]


def with_id(schema_id: int) -> bytes:
    """A good body under another schema id."""
    return frame(schema_id, message()[5:])


REFUSED: dict[str, tuple[bytes | None, str]] = {
    "no value": (None, "empty"),
    "an empty value": (b"", "empty"),
    "JSON instead of Avro": (b'{"event_id": "e1"}', "not_framed"),
    "a wrong magic byte": (b"\x07" + message()[1:], "not_framed"),
    "four bytes": (b"\x00\x00\x00\x00", "not_framed"),
    "an unknown schema id": (with_id(9_999_999), "unknown_schema_id"),
    "another subject's schema id": (with_id(REGISTRY.id_of("control")), "undecodable"),
    "a body cut short": (message()[:-9], "undecodable"),
    "a frame without a body": (message()[:5], "undecodable"),
    "bytes behind the body": (message() + b"\x00\x01", "undecodable"),
    "noise behind the frame": (message()[:5] + bytes(range(200, 256)), "undecodable"),
    "text that is no UTF-8": (
        message(event_id="\x7f\x7f\x7f").replace(b"\x7f\x7f\x7f", b"\xff\xfe\xfd"),
        "undecodable",
    ),
    "an event of 2 MB": (
        message(properties={f"p{n}": "x" * 8_000 for n in range(90)} | {"q": "y" * 1_400_000}),
        "too_large",
    ),
    "1,000 ids": (message(identities=ids(1_000)), "too_many_identities"),
    "21 ids": (message(identities=ids(21)), "too_many_identities"),
    "101 properties": (message(properties={f"p{n}": "x" for n in range(101)}), "too_many_properties"),
    "a property of 8,193 characters": (message(properties={"p": "字" * 8_193}), "value_too_long"),
    "an event from 2099": (message(event_time=4_070_908_800_000), "event_time_in_future"),
    "an event from 25 hours ahead": (message(event_time=NOW + 25 * 3_600_000), "event_time_in_future"),
    "an event from 1970": (message(event_time=1), "event_time_too_old"),
    "an event from before 1970": (message(event_time=-5), "event_time_too_old"),
    "a negative amount": (message(amount_fen=-1), "negative_amount"),
    "an unknown tenant": (message(tenant="nobody"), "unknown_tenant"),
    "no tenant": (message(tenant=""), "unknown_tenant"),
    "no event_id": (message(event_id=""), "invalid_event_id"),
    "an event_id of 129 characters": (message(event_id="e" * 129), "invalid_event_id"),
    "an event type with a space": (message(event_type="Page View!"), "invalid_event_type"),
    "no event type": (message(event_type=""), "invalid_event_type"),
    "a bell in the order_id": (message(order_id="o\x07"), "control_characters"),
    "the separator of nodes in the event_id": (message(event_id="e\x1f1"), "invalid_event_id"),
}

ACCEPTED: dict[str, tuple[bytes, str]] = {
    "no identities: a fact of nobody": (message(identities=[]), ""),
    "an invalid phone is set aside": (message(identities=one("phone", "12345")), "phone:invalid_phone"),
    "an openid without its appid is set aside": (message(identities=one("openid", "o1")), "openid:no_scope"),
    "an empty id is set aside": (message(identities=one("uid", "  ")), "uid:empty"),
    "an id of an unknown kind is set aside": (message(identities=one("fax", "1")), "fax:unknown_kind"),
    "a control character in an id sets it aside": (message(identities=one("uid", "u\x07")), "uid:invalid_value"),
    "an id of 257 characters is set aside": (message(identities=one("uid", "u" * 257)), "uid:invalid_value"),
    "20 ids are allowed": (message(identities=ids(20)), ""),
    "an amount of nothing": (message(amount_fen=0), ""),
    "the largest amount": (message(amount_fen=(1 << 63) - 1), ""),
    "an event that is 23 hours ahead": (message(event_time=NOW + 23 * 3_600_000), ""),
    "an event of a year ago": (message(event_time=NOW - 365 * DAY), ""),
    "an event type that nobody knows": (message(event_type="danced"), ""),
}


def taken(*values: bytes | None) -> Batch:
    """What ingest makes of these values, read one after the other."""
    intake = Intake(REGISTRY, frozenset({"lumi_tea"}), Limits(), 1)
    records = [RawRecord(TOPIC, 0, at, NOW, None, value) for at, value in enumerate(values)]
    end = len(records)
    return intake.process(Cut(records, (RawRange(TOPIC, 0, 0, end),), (Progress(TOPIC, 0, end, NOW),), NOW))


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_record_is_one_dead_letter_and_its_neighbours_pass(name: str) -> None:
    value, reason = REFUSED[name]
    batch = taken(message(event_id="before"), value, message(event_id="after"))
    (letter,) = batch.dead_letters
    assert letter["reason"] == reason
    assert letter["detail"]
    assert letter["raw"] == (value or b"")
    assert (letter["topic"], letter["partition"], letter["offset"]) == (TOPIC, 0, 1)
    assert batch.frames[0].events.column("event_id").to_pylist() == ["before", "after"]


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_record_is_a_row_with_what_was_set_aside(name: str) -> None:
    value, set_aside = ACCEPTED[name]
    batch = taken(value)
    assert batch.dead_letters == []
    assert batch.frames[0].events.column("set_aside").to_pylist() == [set_aside]


def test_a_dead_letter_fits_its_schema() -> None:
    for value, _ in REFUSED.values():
        for letter in taken(value).dead_letters:
            assert encode("dead_letter", letter, REGISTRY.id_of("dead_letter"))


def test_a_refusal_never_tells_a_phone() -> None:
    phone = "+8613912345678"
    spoil: list[Callable[[], bytes]] = [
        lambda: message(event_id=phone, tenant=phone),
        lambda: message(event_type=phone),
        lambda: message(order_id=phone + "\x07"),
    ]
    for make in spoil:
        for letter in taken(make()).dead_letters:
            assert phone not in letter["detail"]
