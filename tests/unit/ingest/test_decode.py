"""Every value of a batch is either a row or a rejection with its reason, whatever its neighbours are."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from schemas.codec import encode, frame
from schemas.columns import EVENTS, IDS
from schemas.records import BehaviourEvent, Identity, Reason
from schemas.registry import LocalRegistry, RegistryUnavailable, UnknownSchema
from schemas.released import Schema, schema
from streams.ingest.decode import Decoded, decode

LOCAL = LocalRegistry()
OURS = LOCAL.id_of("behaviour_event")
EXAMPLES = Path(next(iter(schemas.__path__))) / "examples" / "behaviour_event" / "accepted.json"


class Registered:
    """Our registry, with writers' schemas of others beside."""

    def __init__(self, **others: Schema) -> None:
        self._others = {int(name.strip("_")): one for name, one in others.items()}

    def id_of(self, subject: str) -> int:
        return LOCAL.id_of(subject)

    def writer(self, schema_id: int) -> Schema:
        return self._others.get(schema_id) or LOCAL.writer(schema_id)


class Away:
    def id_of(self, subject: str) -> int:
        raise RegistryUnavailable("away")

    def writer(self, schema_id: int) -> Schema:
        raise RegistryUnavailable("away")


def an_event(event_id: str = "1", **more: Any) -> BehaviourEvent:
    event: BehaviourEvent = {
        "event_id": event_id,
        "tenant": "lanyue",
        "event_type": "order_paid",
        "event_time": 1_791_432_000_000,
        "touchpoint": "miniprogram",
        "scene": None,
        "channel": None,
        "campaign": None,
        "identities": [],
        "order_id": None,
        "amount_fen": None,
        "item_id": None,
        "category": None,
        "referrer": None,
        "properties": {},
    }
    return {**event, **more}  # type: ignore[typeddict-item]


def an_id(kind: str, value: str, scope: str | None = None) -> Identity:
    return {"kind": kind, "scope": scope, "value": value}


def message(record: Any, schema_id: int = OURS) -> bytes:
    return encode("behaviour_event", record, schema_id)


def written_by(writer: Schema, record: dict[str, Any], schema_id: int) -> bytes:
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, fastavro.parse_schema(copy.deepcopy(writer)), record)
    return frame(schema_id, sink.getvalue())


def reasons(decoded: Decoded) -> list[tuple[int, Reason]]:
    return [(index, one.reason) for index, one in decoded.rejected]


def rows(decoded: Decoded) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = decoded.events.to_pylist()
    return found


def flat(records: Sequence[BehaviourEvent]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the rows and ids of these records must be, written as plainly as can be."""
    events, ids = [], []
    for row, record in enumerate(records):
        event = {name: record.get(name) for name in EVENTS.names if name in record}
        event["event_time_ms"] = record["event_time"]
        for part in ("kind", "scope", "value"):
            event[f"referrer_{part}"] = record["referrer"] and (dict(record["referrer"])[part] or "")
        event["properties"] = _object(record["properties"])
        events.append(event)
        ids += [{"row": row, **one, "scope": one["scope"] or ""} for one in record["identities"]]
    return events, ids


def _object(properties: dict[str, str]) -> str:
    return json.dumps(properties, sort_keys=True, ensure_ascii=False, separators=(",", ":")) if properties else ""


TEXT = st.one_of(
    st.sampled_from(["", "a", "b", '"', "\\", "\n", "\x00", "\x7f", "上海", "\u2028", "🔥", "0" * 130]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
OPTIONAL = st.none() | TEXT
IDENTITY = st.builds(an_id, TEXT, TEXT, OPTIONAL)
TIMES = st.integers(-(2**63), 2**63 - 1)
EVENT = st.builds(
    an_event,
    TEXT,
    event_time=TIMES,
    scene=OPTIONAL,
    identities=st.lists(IDENTITY, max_size=4),
    order_id=OPTIONAL,
    amount_fen=st.none() | TIMES,
    referrer=st.none() | IDENTITY,
    properties=st.dictionaries(TEXT, TEXT, max_size=5),
)
GOOD = EVENT.map(message)
BAD = st.one_of(
    st.none(),
    st.binary(max_size=8),
    GOOD.map(lambda one: one[:-1]),
    GOOD.map(lambda one: one + b"\0"),
    GOOD.map(lambda one: one[:1] + b"\0\0\xff\xff" + one[5:]),
    GOOD.map(lambda one: one.replace(b"lanyue", b"lan\xffue")),
)


@settings(deadline=None)
@given(st.lists(EVENT, max_size=20))
def test_good_values_become_rows_in_their_order(records: list[BehaviourEvent]) -> None:
    decoded = decode([message(one) for one in records], LOCAL)
    assert (rows(decoded), decoded.ids.to_pylist()) == flat(records)
    assert (decoded.kept, decoded.rejected) == (list(range(len(records))), [])


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), GOOD, BAD), max_size=30))
def test_a_bad_value_never_spoils_a_neighbour(given_values: list[tuple[bool, bytes, bytes | None]]) -> None:
    values = [good if is_good else bad for is_good, good, bad in given_values]
    decoded = decode(values, LOCAL)
    assert decoded.kept == [index for index, (is_good, *_) in enumerate(given_values) if is_good]
    assert [index for index, _ in decoded.rejected] == [
        index for index in range(len(values)) if index not in decoded.kept
    ]
    alone = decode([good for is_good, good, _ in given_values if is_good], LOCAL)
    assert decoded.events.equals(alone.events)
    assert decoded.ids.equals(alone.ids)


@settings(deadline=None)
@given(st.lists(st.one_of(GOOD, BAD), max_size=20), st.data())
def test_any_batching_gives_the_same(values: list[bytes | None], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    whole, first, second = decode(values, LOCAL), decode(values[:cut], LOCAL), decode(values[cut:], LOCAL)
    assert whole.events.equals(pa.concat_batches([first.events, second.events]))
    assert whole.kept == [*first.kept, *(cut + index for index in second.kept)]
    assert whole.rejected == [*first.rejected, *((cut + index, why) for index, why in second.rejected)]
    assert whole.schema_ids == first.schema_ids + second.schema_ids


def test_the_columns_are_those_of_the_contract_but_for_what_ingest_adds() -> None:
    decoded = decode([], LOCAL)
    ours = ("source", "raw_offset", "received_ms", "set_aside")
    assert decoded.events.schema == pa.schema([field for field in EVENTS if field.name not in ours])
    assert decoded.ids.schema == IDS


@pytest.mark.parametrize(
    ("value", "reason", "schema_id"),
    [
        (None, Reason.EMPTY, None),
        (b"", Reason.EMPTY, None),
        (b"\0", Reason.NOT_FRAMED, None),
        (b"\0\0\0\0", Reason.NOT_FRAMED, None),
        (b'{"event_id": "1"}', Reason.NOT_FRAMED, None),
        (b"\1" + message(an_event())[1:], Reason.NOT_FRAMED, None),
        (message(an_event(), 263), Reason.UNKNOWN_SCHEMA_ID, 263),
        (message(an_event(), 2**32 - 1), Reason.UNKNOWN_SCHEMA_ID, 2**32 - 1),
        (b"\0\0\0\0\1", Reason.UNDECODABLE, 1),
        (message(an_event())[:-1], Reason.UNDECODABLE, 1),
        (message(an_event()) + b"\0", Reason.UNDECODABLE, 1),
        (message(an_event("\x00")).replace(b"\2\x00", b"\2\xff"), Reason.UNDECODABLE, 1),
        (message(an_event(), LOCAL.id_of("delivery")), Reason.UNDECODABLE, 9),
        (message(an_event("x" * 2000)), Reason.TOO_LARGE, 1),
        (b"x" * 2000, Reason.TOO_LARGE, None),
        (message(an_event(identities=[an_id("phone", "1")] * 4)), Reason.TOO_MANY_IDENTITIES, 1),
    ],
)
def test_each_fault_has_its_reason(value: bytes | None, reason: Reason, schema_id: int | None) -> None:
    good = message(an_event())
    decoded = decode([good, value, good], LOCAL, max_bytes=1000, max_identities=3)
    assert reasons(decoded) == [(1, reason)]
    assert decoded.schema_ids == [OURS, schema_id, OURS]
    assert (decoded.kept, decoded.events.num_rows) == ([0, 2], 2)


def test_limits_are_inclusive() -> None:
    value = message(an_event(identities=[an_id("phone", "1")] * 20))
    assert decode([value], LOCAL, max_bytes=len(value)).kept == [0]
    assert reasons(decode([value], LOCAL, max_bytes=len(value) - 1)) == [(0, Reason.TOO_LARGE)]


def test_a_registry_that_is_away_rejects_nothing() -> None:
    with pytest.raises(RegistryUnavailable):
        decode([message(an_event())], Away())


def test_a_detail_says_what_is_wrong_without_an_id() -> None:
    value = message(an_event(identities=[an_id("phone", "13800000417")]))
    details = [
        one.detail for _, one in decode([value[:-3], value + b"13800000417", value[:-1] + b"\xff"], LOCAL).rejected
    ]
    assert len(details) == 3
    assert all(detail and "13800000417" not in detail for detail in details)


def test_ids_point_to_their_row_not_to_their_value() -> None:
    values = [
        b"",
        message(an_event("1")),
        b"",
        message(an_event("2", identities=[an_id("uid", "7"), an_id("openid", "o", "wx")])),
    ]
    decoded = decode(values, LOCAL)
    assert decoded.kept == [1, 3]
    assert decoded.ids.to_pylist() == [
        {"row": 1, "kind": "uid", "scope": "", "value": "7"},
        {"row": 1, "kind": "openid", "scope": "wx", "value": "o"},
    ]


def test_a_referrer_without_scope_has_an_empty_one_and_no_referrer_has_none() -> None:
    decoded = decode([message(an_event(referrer=an_id("uid", "7"))), message(an_event())], LOCAL)
    assert [row["referrer_scope"] for row in rows(decoded)] == ["", None]


def test_properties_are_counted_and_measured_in_bytes() -> None:
    values = [{}, {"page": "上海"}, {"a": "", "longer_than_its_value": "x"}]
    decoded = decode([message(an_event(properties=one)) for one in values], LOCAL)
    assert decoded.property_counts.to_pylist() == [0, 1, 2]
    assert decoded.longest_property.to_pylist() == [0, 6, 21]


def test_of_a_property_that_came_twice_the_last_counts() -> None:
    twice = message(an_event(properties={"a": "1", "b": "2"})).replace(b"\2b\0022", b"\2a\0022")
    assert twice != message(an_event(properties={"a": "1", "b": "2"}))
    assert [row["properties"] for row in rows(decode([twice], LOCAL))] == ['{"a":"2"}']


def test_the_examples_become_rows() -> None:
    records = [one["record"] for one in json.loads(EXAMPLES.read_text(encoding="utf-8"))]
    decoded = decode([message(one) for one in records], LOCAL)
    assert (rows(decoded), decoded.ids.to_pylist()) == flat(records)


def older() -> Schema:
    """A version before ours: no referrer, no campaign, no properties yet, and small numbers in int."""
    writer = copy.deepcopy(schema("behaviour_event"))
    writer["fields"] = [one for one in writer["fields"] if one["name"] not in ("referrer", "campaign", "properties")]
    next(one for one in writer["fields"] if one["name"] == "amount_fen")["type"] = ["null", "int"]
    return writer


def newer() -> Schema:
    """A version after ours: more fields, in the event and in its ids."""
    writer = copy.deepcopy(schema("behaviour_event"))
    identity = next(one for one in writer["fields"] if one["name"] == "identities")["type"]["items"]
    identity["fields"].insert(0, {"name": "verified", "type": "boolean", "default": False})
    mood = {"type": "enum", "name": "Mood", "symbols": ["good", "bad"]}
    writer["fields"].insert(3, {"name": "locale", "type": ["null", "string"], "default": None})
    writer["fields"].append({"name": "mood", "type": mood, "default": "good"})
    return writer


def in_bytes() -> Schema:
    """A version after ours with a type that only record by record can be read."""
    writer = copy.deepcopy(schema("behaviour_event"))
    writer["fields"].insert(0, {"name": "signature", "type": "bytes", "default": ""})
    return writer


def test_versions_older_and_newer_than_ours_are_read_in_one_batch() -> None:
    ids = [an_id("uid", "7"), an_id("openid", "o", "wx")]
    record: dict[str, Any] = {**an_event(identities=ids, amount_fen=5, order_id="O")}
    verified = [{**one, "verified": True} for one in ids]
    registry = Registered(_101=older(), _102=newer(), _103=in_bytes())
    values = [
        written_by(newer(), {**record, "event_id": "2", "identities": verified, "locale": "zh", "mood": "bad"}, 102),
        message({**record, "event_id": "0"}),
        written_by(older(), {**record, "event_id": "1"}, 101),
        b"",
        written_by(in_bytes(), {**record, "event_id": "3", "signature": b"\xff"}, 103),
        message({**record, "event_id": "4"}),
    ]
    decoded = decode(values, registry)
    expected = [an_event(one, identities=ids, amount_fen=5, order_id="O") for one in ("2", "0", "1", "3", "4")]
    assert (rows(decoded), decoded.ids.to_pylist()) == flat(expected)
    assert (decoded.kept, reasons(decoded)) == ([0, 1, 2, 4, 5], [(3, Reason.EMPTY)])
    assert decoded.schema_ids == [102, OURS, 101, None, 103, OURS]


def test_a_writers_schema_that_lacks_what_we_must_have_is_undecodable() -> None:
    writer = copy.deepcopy(schema("behaviour_event"))
    writer["fields"] = [one for one in writer["fields"] if one["name"] != "tenant"]
    values = [message(an_event()), written_by(writer, {**an_event()}, 101)]
    assert reasons(decode(values, Registered(_101=writer))) == [(1, Reason.UNDECODABLE)]


@pytest.mark.parametrize("writer", [{"type": "record", "name": "BehaviourEvent"}, {"type": "string"}, {}])
def test_a_writers_schema_that_is_none_is_undecodable(writer: Schema) -> None:
    registry = Registered(_101=writer or {"type": "nonsense"})
    assert reasons(decode([message(an_event(), 101)], registry)) == [(0, Reason.UNDECODABLE)]


def test_an_unknown_id_is_asked_for_once_a_batch_and_again_in_the_next() -> None:
    asked: list[int] = []

    class Late(Registered):
        def writer(self, schema_id: int) -> Schema:
            asked.append(schema_id)
            if len(asked) == 1:
                raise UnknownSchema("not yet")
            return super().writer(OURS)

    registry = Late()
    values = [message(an_event(), 77)] * 3
    assert reasons(decode(values, registry)) == [(index, Reason.UNKNOWN_SCHEMA_ID) for index in range(3)]
    assert decode(values, registry).kept == [0, 1, 2]
    assert decode(values, registry).kept == [0, 1, 2]
    assert asked == [77, 77]
