"""Resolved frames for the tests of sinks: small, seeded, with rows in several tables.

In: how many frames and rows. Out: `Resolved` frames of `schemas.columns.TABLES`. Never: the same row twice.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from typing import Any

import pyarrow as pa

from schemas.columns import TABLES
from schemas.frames import Resolved

START_MS = 1_718_000_000_000
TABLES_USED = ("events", "identity_map", "deliveries")

_TYPES = ["page_view", "product_view", "add_to_cart", "order_submitted", "order_paid"]
_TOUCHPOINTS = ["miniprogram", "official_account", "wecom", "h5", "app"]


def frames(count: int, rows: int, *, shard: int = 0, gap: int = 2) -> list[Resolved]:
    """So many frames of `rows` events each, `gap` offsets apart; their rows are the same for every shard."""
    return [replace(frame(index * gap, rows), shard=shard) for index in range(count)]


@cache
def frame(offset: int, rows: int) -> Resolved:
    """One frame of shard 0, often with changes of the identity map, sometimes with a receipt."""
    chosen = random.Random(offset)
    tables = {"events": rows_of("events", *(event(offset, row, chosen) for row in range(rows)))}
    if rows and chosen.random() < 0.7:
        tables["identity_map"] = rows_of("identity_map", *(node(offset, row) for row in range(2)))
    if rows and chosen.random() < 0.4:
        tables["deliveries"] = rows_of("deliveries", delivery(offset))
    return Resolved(0, offset, START_MS, tables)


def rows_of(table: str, *rows: dict[str, Any]) -> pa.RecordBatch:
    """A batch of a table; what a row doesn't name is missing, or empty where it must not be."""
    schema = TABLES[table]
    empty = {field.name: None if field.nullable else 0 if pa.types.is_integer(field.type) else "" for field in schema}
    return pa.RecordBatch.from_pylist([{**empty, **row} for row in rows], schema=schema)


def event(offset: int, row: int, chosen: random.Random) -> dict[str, Any]:
    """One event within five minutes of START_MS; about half have an amount."""
    return {
        "event_id": f"e{offset}-{row}",
        "tenant": "brand",
        "event_type": chosen.choice(_TYPES),
        "event_time_ms": START_MS + chosen.randrange(300_000),
        "touchpoint": chosen.choice(_TOUCHPOINTS),
        "scene": chosen.choice([None, "1001", "场景"]),
        "amount_fen": chosen.choice([None, chosen.randrange(10_000)]),
        "order_id": f"o{offset}-{row}" if row % 5 == 0 else None,
        "received_ms": START_MS + 400_000,
        "source": "miniprogram",
        "properties": '{"page":"it\'s \\\\"}',
        "node": f"{chosen.getrandbits(128):032x}",
        "one_id": f"{chosen.getrandbits(128):032x}",
    }


def node(offset: int, row: int) -> dict[str, Any]:
    """One row of the identity map."""
    who = {"kind": "openid", "scope": "wx1", "value": f"o{row}"}
    return {"tenant": "brand", "node": f"n{row}", "one_id": f"p{offset}", "seq": offset * 10 + row, **who}


def delivery(offset: int) -> dict[str, Any]:
    """One receipt."""
    return {"tenant": "brand", "trigger_id": f"t{offset}", "status": "sent", "event_time_ms": START_MS + offset}
