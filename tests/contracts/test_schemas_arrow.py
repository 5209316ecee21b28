"""Columns hold exactly what reading record by record gives: for good bytes, for any other bytes, for any writer.

fastavro, through `resolution.read`, is the judge. The column decoder by itself takes text that is not UTF-8 and bytes
after the record; these laws are what shows that it is well guarded, and that no input makes it panic or crash.
"""

from __future__ import annotations

import copy
import io
from typing import Any

import fastavro
from hypothesis import event, given, settings
from hypothesis import strategies as st

from schemas.arrow import read_batch, shape
from schemas.released import Schema, schema
from schemas.resolution import Resolution, Unreadable, read, resolve

SUBJECT = "behaviour_event"
OURS = resolve(schema(SUBJECT))

TEXT = st.one_of(
    st.sampled_from(["", "phone", "openid", "上海", "0" * 64]), st.text(st.characters(exclude_categories=["Cs"]))
)
LONG = st.integers(-(2**63), 2**63 - 1)
IDENTITY = st.fixed_dictionaries({"kind": TEXT, "scope": st.none() | TEXT, "value": TEXT})
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(["event_id", "tenant", "event_type", "touchpoint"], TEXT),
    "event_time": LONG,
    **dict.fromkeys(["scene", "channel", "campaign", "order_id", "item_id", "category"], st.none() | TEXT),
    "identities": st.lists(IDENTITY, max_size=3),
    "amount_fen": st.none() | LONG,
    "referrer": st.none() | IDENTITY,
    "properties": st.dictionaries(TEXT, TEXT, max_size=3),
}
EVENT = st.fixed_dictionaries({field["name"]: FIELDS[field["name"]] for field in schema(SUBJECT)["fields"]})


def body(writer: Schema, record: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, fastavro.parse_schema(copy.deepcopy(writer)), record)
    return sink.getvalue()


def by_record(by: Resolution, bodies: list[bytes]) -> tuple[list[int], list[dict[str, Any]]]:
    """What `read` says of each: the indexes of the good ones, and their records."""
    found = []
    for index, one in enumerate(bodies):
        try:
            found.append((index, read(by, one)))
        except Unreadable:
            continue
    return [index for index, _ in found], [record for _, record in found]


def by_column(by: Resolution, bodies: list[bytes]) -> tuple[list[int], list[dict[str, Any]]]:
    """What `read_batch` says of them all; every body is either good or at fault."""
    got = read_batch(by, bodies)
    assert sorted([*got.rows, *(row for row, _ in got.faults)]) == list(range(len(bodies)))
    assert got.records.schema == shape(by.subject)
    got.records.validate(full=True)
    rows = got.records.to_pylist()
    return got.rows, [{**row, "properties": dict(row["properties"])} for row in rows]


VARINTS = [
    b"\0",
    b"\1",
    b"\x80",
    b"\x80\0",
    b"\xff" * 9 + b"\1",
    b"\xfe" + b"\xff" * 8 + b"\1",
    b"\xfe\xff\xff\xff\x0f",
]


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """A body, as it is or cut, lengthened, with a bit flipped, a byte replaced or some put in; or no body at all."""
    good = draw(whole)
    at = draw(st.integers(0, len(good)))
    before, after = good[:at], good[at + 1 :]
    flipped = bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in good[at : at + 1])
    strange = draw(st.sampled_from(VARINTS) | st.binary(min_size=1, max_size=4))
    longer = good + draw(st.binary(min_size=1, max_size=12))
    inserted, replaced = before + strange + good[at:], before + strange + after
    ways = [good, before, longer, before + flipped + after, inserted, replaced, draw(st.binary(max_size=60))]
    return draw(st.sampled_from(ways))


BODY = EVENT.map(lambda record: body(schema(SUBJECT), record))


@settings(deadline=None)
@given(st.lists(EVENT, max_size=20))
def test_good_records_come_back_as_they_were(records: list[dict[str, Any]]) -> None:
    assert by_column(OURS, [body(schema(SUBJECT), one) for one in records]) == (list(range(len(records))), records)


@settings(max_examples=300, deadline=None)
@given(st.lists(damaged(BODY), max_size=12))
def test_damaged_records_are_refused_as_record_by_record_and_spoil_no_neighbour(bodies: list[bytes]) -> None:
    assert by_column(OURS, bodies) == by_record(OURS, bodies)


ENUM = {"type": "enum", "name": "Mood", "symbols": ["good", "bad", "int"]}
EXTRA: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("null", st.none()),
    ("boolean", st.booleans()),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("double", st.floats(allow_nan=False)),
    ("bytes", st.binary(max_size=5)),
    ({"type": "fixed", "name": "Two", "size": 2}, st.binary(min_size=2, max_size=2)),
    (ENUM, st.sampled_from(["good", "bad"])),
    (["null", "string", "long"], st.none() | TEXT | LONG),
    ({"type": "array", "items": ["null", "long"]}, st.lists(st.none() | LONG, max_size=3)),
    ({"type": "map", "values": {"type": "array", "items": "string"}}, st.just({"a": ["b", "c"]})),
    ({"type": "long", "logicalType": "timestamp-micros"}, LONG),
    ({"type": "string", "avro.java.string": "String"}, TEXT),
    ({"type": "record", "name": "Empty", "fields": []}, st.just({})),
    ({"type": "record", "name": "Geo", "fields": [{"name": "c", "type": ["null", "int"]}]}, st.just({"c": 7})),
    (
        {"type": "record", "name": "Tree", "fields": [{"name": "up", "type": ["null", "Tree"], "default": None}]},
        st.just({"up": {"up": None}}),
    ),
]
"""Types that a newer or foreign writer may have beside ours, those that the column decoder cannot read among them."""


@st.composite
def foreign(draw: st.DrawFn) -> tuple[Schema, list[dict[str, Any]]]:
    """A writer's schema that ours can read, and records of it."""
    writer = copy.deepcopy(schema(SUBJECT))
    writer["namespace"] = draw(st.sampled_from(["siyu", "com.brand.events"]))
    values = dict(FIELDS)
    fields = [one for one in writer["fields"] if _kept(draw, one)]
    for one in fields:
        values[one["name"]] = _changed(draw, one, values[one["name"]])
    for number, (type_, value) in enumerate(draw(st.lists(st.sampled_from(EXTRA), max_size=2, unique_by=str))):
        fields.insert(draw(st.integers(0, len(fields))), {"name": f"extra_{number}", "type": copy.deepcopy(type_)})
        values[f"extra_{number}"] = value
    if draw(st.booleans()):
        fields.sort(key=lambda one: str(one["name"]) != "identities")  # which names the Identity that others refer to
    record = st.fixed_dictionaries({one["name"]: values[one["name"]] for one in fields})
    return {**writer, "fields": fields}, draw(st.lists(record, max_size=10))


def _kept(draw: st.DrawFn, field: Schema) -> bool:
    return "default" not in field or draw(st.booleans())


def _changed(draw: st.DrawFn, field: Schema, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Perhaps a narrower type, another order of the union, or one more field in the identity."""
    name = field["name"]
    if name == "event_time" and draw(st.booleans()):
        field["type"] = "int"
        return st.integers(-(2**31), 2**31 - 1)
    if name in ("scene", "order_id", "amount_fen") and draw(st.booleans()):
        field["type"] = field["type"][1]
        del field["default"]
        return LONG if name == "amount_fen" else TEXT
    if name == "campaign" and draw(st.booleans()):
        field["type"] = ["string", "null"]
        del field["default"]
    if name == "tenant" and draw(st.booleans()):
        field["type"] = ["null", "string"]
        return st.none() | values
    if name == "identities":
        _change_identity(draw, field["type"]["items"])
    return values


def _change_identity(draw: st.DrawFn, identity: Schema) -> None:
    if draw(st.booleans()):
        identity["fields"].insert(1, {"name": "verified", "type": ["null", "boolean"], "default": None})
    if draw(st.booleans()):
        identity["fields"] = [one for one in identity["fields"] if one["name"] != "scope"]


@settings(max_examples=200, deadline=None)
@given(foreign(), st.data())
def test_any_writers_records_are_read_as_record_by_record(
    written: tuple[Schema, list[dict[str, Any]]], data: st.DataObject
) -> None:
    writer, records = written
    by = resolve(writer)
    event("columns" if by.wire else "records")
    bodies = [body(writer, one) for one in records]
    more = data.draw(st.lists(damaged(st.sampled_from(bodies)), max_size=2)) if bodies else []
    assert by_column(by, bodies + more) == by_record(by, bodies + more)
