"""The released schemas are what `records` says they are, the examples hold, and every record survives the wire."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from avro.io import BinaryDecoder, DatumReader
from avro.schema import parse as parse_strictly
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import records, released
from schemas.codec import decode_one, encode, frame, split
from schemas.records import SUBJECTS
from schemas.registry import LocalRegistry
from schemas.released import Schema, schema
from schemas.resolution import plain

EXAMPLES = Path(released.__file__).parent / "examples"
REGISTRY = LocalRegistry()


def examples(kind: str) -> list[Any]:
    """Every example of the kind as a test parameter: subject and example."""
    return [
        pytest.param(subject, one, id=f"{subject}: {one['name']}")
        for subject in SUBJECTS
        for one in json.loads((EXAMPLES / subject / f"{kind}.json").read_text(encoding="utf-8"))
    ]


def from_json(subject: str, record: Any) -> Any:
    """The record as Python has it: Avro's JSON form writes bytes as text of one character per byte."""
    if subject != "dead_letter":
        return record
    raw = {name: record[name] for name in ("raw", "raw_key") if record.get(name) is not None}
    return {**record, **{name: text.encode("latin-1") for name, text in raw.items()}}


def values(node: Any, names: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Any value of an Avro type, times as int milliseconds."""
    if isinstance(node, list):
        return st.one_of(*(values(one, names) for one in node))
    if isinstance(node, str):
        return PRIMITIVES[node] if node in PRIMITIVES else values(names[node], names)
    if node["type"] == "record":
        names[node["name"]] = node
        return st.fixed_dictionaries({field["name"]: values(field["type"], names) for field in node["fields"]})
    if node["type"] == "array":
        return st.lists(values(node["items"], names), max_size=4)
    if node["type"] == "map":
        return st.dictionaries(PRIMITIVES["string"], values(node["values"], names), max_size=4)
    return PRIMITIVES[node["type"]]


PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    "bytes": st.binary(max_size=40),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
}
ANY_RECORD = st.sampled_from(SUBJECTS).flatmap(lambda one: st.tuples(st.just(one), values(schema(one), {})))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_fields_are_those_of_the_typed_record_in_the_same_order(subject: str) -> None:
    avro = schema(subject)
    typed = get_type_hints(getattr(records, avro["name"]))
    assert [field["name"] for field in avro["fields"]] == list(typed)


def every_field(subject: str) -> list[Schema]:
    nested = [schema(subject)]
    found: list[Schema] = []
    while nested:
        node = nested.pop()
        for field in node.get("fields", []):
            found.append(field)
            below = field["type"] if isinstance(field["type"], list) else [field["type"]]
            nested += [one.get("items", one) for one in below if isinstance(one, dict) and one.get("type") != "map"]
        nested = [node for node in nested if isinstance(node, dict)]
    return found


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_field_says_what_it_means(subject: str) -> None:
    assert [field["name"] for field in every_field(subject) if not field.get("doc")] == []


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_field_that_may_be_null_is_null_by_default(subject: str) -> None:
    nullable = [field for field in every_field(subject) if isinstance(field["type"], list)]
    assert [field["name"] for field in nullable if field.get("default", "none") is not None] == []


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_reference_implementation_reads_the_schema(subject: str) -> None:
    parsed = parse_strictly(released.text(subject, released.latest(subject)))
    assert parsed.fullname == f"siyu.{schema(subject)['name']}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_reason_and_kind_in_the_types_is_named_in_the_schema(subject: str) -> None:
    docs = {field["name"]: field["doc"] for field in every_field(subject)}
    if subject == "dead_letter":
        assert [reason for reason in records.Reason if reason.value not in docs["reason"]] == []
    if subject == "behaviour_event":
        assert [kind for kind in records.ID_KINDS if kind not in docs["kind"]] == []


@pytest.mark.parametrize(("subject", "example"), examples("accepted"))
def test_an_accepted_example_comes_back_as_it_was(subject: str, example: dict[str, Any]) -> None:
    record = from_json(subject, example["record"])
    assert decode_one(encode(subject, record, REGISTRY.id_of(subject)), REGISTRY, subject) == record


@pytest.mark.parametrize(("subject", "example"), examples("refused"))
def test_a_refused_example_cannot_be_encoded(subject: str, example: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^not a {subject}: "):
        encode(subject, from_json(subject, example["record"]), 1)


@settings(deadline=None)
@given(ANY_RECORD)
def test_whatever_is_encoded_comes_back(given_record: tuple[str, dict[str, Any]]) -> None:
    subject, record = given_record
    message = encode(subject, record, REGISTRY.id_of(subject))
    assert split(message)[0] == REGISTRY.id_of(subject)
    assert decode_one(message, REGISTRY) == record


@settings(deadline=None)
@given(ANY_RECORD)
def test_the_reference_implementation_reads_what_we_write(given_record: tuple[str, dict[str, Any]]) -> None:
    subject, record = given_record
    body = io.BytesIO(split(encode(subject, record, 1))[1])
    reader = DatumReader(parse_strictly(json.dumps(plain(schema(subject)))))
    assert reader.read(BinaryDecoder(body)) == record


def test_fields_with_a_default_may_be_left_out() -> None:
    least = {"event_id": "1", "tenant": "t", "event_type": "page_view", "event_time": 1, "touchpoint": "h5"}
    got = decode_one(encode("behaviour_event", {**least, "identities": []}, 1), REGISTRY)
    assert got["properties"] == {}
    assert [got[name] for name in ("scene", "order_id", "amount_fen", "referrer")] == [None] * 4


@pytest.mark.parametrize("message", [b"", b"\0\0\0\0", b"\1\0\0\0\1abc", b"{}{}{}"])
def test_a_message_without_framing_says_so(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not framed$"):
        split(message)


@given(st.integers(0, 2**32 - 1), st.binary(max_size=20))
def test_split_undoes_frame(schema_id: int, body: bytes) -> None:
    assert split(frame(schema_id, body)) == (schema_id, body)
