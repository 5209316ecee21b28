"""Which decoded events are refused, and in which words.

In: columns of events. Out: (row, why) of each event that is refused, in row order.
Never: a refused event for a bad id (see `identifiers`); personal data in the words; a look at single rows where
nothing is wrong.

Every rule is one function in `_RULES`; the first that refuses a row names its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.masking import masked
from schemas.records import Reason
from streams.ingest.text import has_controls, longer_than
from streams.outcome import Rejected

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a record may have at most, all in one place. Lengths are in characters, `event_bytes` of the framed Avro.

    `event_bytes` and `identities` are held by `decode` already, before it unfolds a record.
    """

    event_bytes: int = 1 << 20
    identities: int = 20
    properties: int = 100
    property_characters: int = 8192
    text_characters: int = 256
    event_id_characters: int = 128
    future_ms: int = DAY_MS
    oldest_ms: int = 946_684_800_000  # 2000-01-01
    yaml_characters: int = 1 << 18


class _Batch(NamedTuple):
    events: pa.RecordBatch
    received_ms: pa.Array
    tenants: frozenset[str]
    limits: Limits


_TEXTS: Final = ("tenant", "touchpoint", "scene", "channel", "campaign", "order_id", "item_id", "category")
_EVENT_TYPE: Final = r"^[a-z][a-z0-9_]{0,63}$"
_LONG_NUMBER: Final = re.compile(r"\+?\d{7,}")
_EMAIL: Final = re.compile(r"\S+@\S+")
_SHOWN: Final = 64
_SHORTEST_PROPERTY: Final = len('"":"",')


def check(
    events: pa.RecordBatch, received_ms: pa.Array, tenants: frozenset[str], limits: Limits
) -> list[tuple[int, Rejected]]:
    """Refused rows in order, each once. `events`: EVENTS' columns from event_id to properties.

    `received_ms` (int64) is what "future" is measured against; `tenants` are those that the operator declared.
    """
    batch = _Batch(events, received_ms, tenants, limits)
    refused: dict[int, Rejected] = {}
    for rule in _RULES:
        for row, why in rule(batch):
            refused.setdefault(row, why)
    return sorted(refused.items())


def shown(text: str) -> str:
    """A text as a dead letter may quote it: shortened, with phones, other long numbers and e-mails masked."""
    text = _EMAIL.sub(lambda found: masked("email", found[0]), text[:_SHOWN])
    return repr(_LONG_NUMBER.sub(lambda found: masked("phone", found[0]), text))


def _event_id(batch: _Batch) -> Iterator[tuple[int, Rejected]]:
    column, most = batch.events["event_id"], batch.limits.event_id_characters
    for row in _rows(pc.equal(column, "")):
        yield row, Rejected(Reason.INVALID_EVENT_ID, "event_id is empty")
    for row in _rows(longer_than(column, most)):
        yield row, Rejected(Reason.INVALID_EVENT_ID, _too_long("event_id", column[row].as_py(), most))
    yield from _controls(batch, "event_id", Reason.INVALID_EVENT_ID)


def _tenant(batch: _Batch) -> Iterator[tuple[int, Rejected]]:
    column = batch.events["tenant"]
    for row in _rows(pc.invert(pc.is_in(column, value_set=_known(batch.tenants)))):
        detail = f"tenant {shown(column[row].as_py())} is not among the tenants declared here"
        yield row, Rejected(Reason.UNKNOWN_TENANT, detail)


@lru_cache(maxsize=4)
def _known(tenants: frozenset[str]) -> pa.Array:
    return pa.array(sorted(tenants), pa.string())


def _event_type(batch: _Batch) -> Iterator[tuple[int, Rejected]]:
    column = batch.events["event_type"]
    types = pc.dictionary_encode(column)
    good = pc.match_substring_regex(types.dictionary, _EVENT_TYPE)
    if pc.all(good).as_py():
        return
    for row in _rows(pc.invert(good.take(types.indices))):
        detail = f"event_type {shown(column[row].as_py())} is not snake_case of at most 64 characters ([a-z][a-z0-9_]*)"
        yield row, Rejected(Reason.INVALID_EVENT_TYPE, detail)


def _event_time(batch: _Batch) -> Iterator[tuple[int, Rejected]]:
    column, limits = batch.events["event_time_ms"], batch.limits
    for row in _rows(pc.greater(column, pc.add(batch.received_ms, limits.future_ms))):
        got, received = column[row].as_py(), batch.received_ms[row].as_py()
        detail = (
            f"event_time is {got - received} ms after the record was received, at most {limits.future_ms} are allowed"
        )
        yield row, Rejected(Reason.EVENT_TIME_IN_FUTURE, detail)
    for row in _rows(pc.less(column, limits.oldest_ms)):
        detail = f"event_time is {column[row].as_py()} ms since 1970, at least {limits.oldest_ms} is allowed"
        yield row, Rejected(Reason.EVENT_TIME_TOO_OLD, detail)


def _amount(batch: _Batch) -> Iterator[tuple[int, Rejected]]:
    column = batch.events["amount_fen"]
    for row in _rows(pc.less(column, 0)):
        yield row, Rejected(Reason.NEGATIVE_AMOUNT, f"amount_fen is {column[row].as_py()}, at least 0 is allowed")


def _properties(batch: _Batch) -> Iterator[tuple[int, Rejected]]:
    """Reads the JSON only where its length and its colons say that it could be over a limit."""
    column, limits = batch.events["properties"], batch.limits
    possible = min(limits.property_characters, _SHORTEST_PROPERTY * limits.properties)
    for row in _rows(pc.greater(pc.binary_length(column), possible)):
        text = column[row].as_py()
        if len(text) > limits.property_characters or text.count(":") > limits.properties:
            found = _property(json.loads(text), limits)
            if found is not None:
                yield row, found


def _property(properties: dict[str, str], limits: Limits) -> Rejected | None:
    if len(properties) > limits.properties:
        detail = f"properties has {len(properties)} entries, at most {limits.properties} are allowed"
        return Rejected(Reason.TOO_MANY_PROPERTIES, detail)
    for name, value in properties.items():
        for what, text in (("the name of property", name), ("property", value)):
            if len(text) > limits.property_characters:
                detail = _too_long(f"{what} {shown(name)}", text, limits.property_characters)
                return Rejected(Reason.VALUE_TOO_LONG, detail)
    return None


def _lengths(batch: _Batch) -> Iterator[tuple[int, Rejected]]:
    most = batch.limits.text_characters
    for name in _TEXTS:
        column = batch.events[name]
        for row in _rows(longer_than(column, most)):
            yield row, Rejected(Reason.VALUE_TOO_LONG, _too_long(name, column[row].as_py(), most))


def _control_characters(batch: _Batch) -> Iterator[tuple[int, Rejected]]:
    for name in _TEXTS:
        yield from _controls(batch, name, Reason.CONTROL_CHARACTERS)


def _controls(batch: _Batch, name: str, reason: Reason) -> Iterator[tuple[int, Rejected]]:
    for row in _rows(has_controls(batch.events[name])):
        yield row, Rejected(reason, f"{name} has a control character, none is allowed")


def _too_long(name: str, got: str, most: int) -> str:
    return f"{name} has {len(got)} characters, at most {most} are allowed"


def _rows(mask: pa.Array | None) -> list[int]:
    if mask is None:
        return []
    rows: list[int] = pc.indices_nonzero(mask).to_pylist()
    return rows


_RULES = (
    _event_id,
    _tenant,
    _event_type,
    _event_time,
    _amount,
    _properties,
    _lengths,
    _control_characters,
)
