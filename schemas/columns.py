"""The columns in which batches travel between stages and into ClickHouse.

In: nothing. Out: one Arrow schema per batch kind. Never: code that reads or writes a batch.

`EVENTS` and `IDS` are what ingest hands to the engine: one row per accepted event, and one row per identity of
an event (`row` points into `EVENTS`), both flat, since flat columns are what Python reads fast. `TABLES` is what
the engine hands to the sink, by ClickHouse table name; a table that is added there and in a migration needs no
other code in the sink.
"""

from __future__ import annotations

import pyarrow as pa

_TEXT = pa.string()


def _columns(**types: pa.DataType) -> list[pa.Field]:
    return [pa.field(name, type_, nullable=False) for name, type_ in types.items()]


def _optional(**types: pa.DataType) -> list[pa.Field]:
    return [pa.field(name, type_, nullable=True) for name, type_ in types.items()]


_BEHAVIOUR = [
    *_columns(event_id=_TEXT, tenant=_TEXT, event_type=_TEXT, event_time_ms=pa.int64(), touchpoint=_TEXT),
    *_optional(scene=_TEXT, channel=_TEXT, campaign=_TEXT, order_id=_TEXT, amount_fen=pa.int64()),
    *_optional(item_id=_TEXT, category=_TEXT),
    *_optional(referrer_kind=_TEXT, referrer_scope=_TEXT, referrer_value=_TEXT),
    # JSON object text with sorted keys, "" where there are none: flat, and readable by any ClickHouse.
    *_columns(properties=_TEXT),
    # Why an id was set aside, as "kind:reason" joined by ";" ("" where all were good). Never the value.
    *_columns(set_aside=_TEXT),
]

EVENTS = pa.schema(
    [
        *_columns(source=pa.int16()),  # index into the frame's ranges: the raw partition it came from
        *_columns(raw_offset=pa.int64(), received_ms=pa.int64()),
        *_BEHAVIOUR,
    ]
)
"""Accepted events of one journal frame, in receive order (`received_ms` never falls within a frame)."""

IDS = pa.schema(_columns(row=pa.int32(), kind=_TEXT, scope=_TEXT, value=_TEXT))
"""Normalised identities, ordered by `row`; `scope` is "" where the kind has one issuer only."""

FACTS = pa.schema(
    [
        *_BEHAVIOUR,
        *_columns(received_ms=pa.int64(), source=_TEXT),
        # The strongest id of the event and the person it belonged to then, as 32 hex digits; "" for nobody.
        *_columns(node=_TEXT, one_id=_TEXT),
    ]
)

TABLES: dict[str, pa.Schema] = {
    "events": FACTS,
    "identity_links": pa.schema(
        _columns(tenant=_TEXT, node_a=_TEXT, node_b=_TEXT, event_id=_TEXT, event_time_ms=pa.int64(), seq=pa.int64())
    ),
    # What else became known of who is who: merges, refusals, cuts; of two nodes, or of one (`node_b` is "" then).
    "identity_changes": pa.schema(
        _columns(tenant=_TEXT, kind=_TEXT, one_id=_TEXT, into_id=_TEXT, node_a=_TEXT, node_b=_TEXT, event_id=_TEXT)
        + _columns(event_time_ms=pa.int64(), reason=_TEXT, seq=pa.int64())
    ),
    # Nodes whose person was erased: no row may hold one of these any more. The engine gives none of them out again.
    "identity_erased": pa.schema(_columns(tenant=_TEXT, node=_TEXT, command_id=_TEXT, erased_ms=pa.int64())),
    # Nodes that had another person before (`was`): facts of all others are still of whom they were of.
    "identity_moves": pa.schema(_columns(tenant=_TEXT, node=_TEXT, was=_TEXT, one_id=_TEXT, seq=pa.int64())),
    # The last row by `seq` of a node counts. `value` is masked for phones and e-mails: people read this table.
    "identity_map": pa.schema(
        _columns(tenant=_TEXT, node=_TEXT, kind=_TEXT, scope=_TEXT, value=_TEXT, one_id=_TEXT, seq=pa.int64())
    ),
    # What the breaker holds; the last row by `seq` of a pair counts. node_b "": a value. Values masked as above.
    "identity_holds": pa.schema(
        [
            *_columns(tenant=_TEXT, node_a=_TEXT, kind_a=_TEXT, scope_a=_TEXT, value_a=_TEXT),
            *_columns(node_b=_TEXT, kind_b=_TEXT, scope_b=_TEXT, value_b=_TEXT),
            *_columns(word=_TEXT, reason=_TEXT, event_id=_TEXT, event_time_ms=pa.int64(), seq=pa.int64()),
        ]
    ),
    "triggers": pa.schema(
        _columns(
            trigger_id=_TEXT,
            tenant=_TEXT,
            topic=_TEXT,
            rule=_TEXT,
            rule_version=pa.int32(),
            step=_TEXT,
            one_id=_TEXT,
            node=_TEXT,
            business_key=_TEXT,
            due_time_ms=pa.int64(),
            fired_time_ms=pa.int64(),
            expires_time_ms=pa.int64(),
            channel=_TEXT,
            recipient_kind=_TEXT,
            recipient_scope=_TEXT,
            recipient_value=_TEXT,  # masked for phones and e-mails
            arm=_TEXT,
            cause=_TEXT,  # event_ids joined by ","
            late_sources=_TEXT,  # joined by ","
            content=_TEXT,  # JSON object text
        )
    ),
    "decisions": pa.schema(
        _columns(
            trigger_id=_TEXT,
            tenant=_TEXT,
            rule=_TEXT,
            rule_version=pa.int32(),
            step=_TEXT,
            one_id=_TEXT,
            node=_TEXT,
            business_key=_TEXT,
            verdict=_TEXT,
            reason=_TEXT,
            due_time_ms=pa.int64(),
            decided_time_ms=pa.int64(),
            cause=_TEXT,
            late_sources=_TEXT,
        )
    ),
    # Each step of each journey that somebody came to; the last row by `seq` of a run counts, "" is out of it.
    "journey_moves": pa.schema(
        _columns(
            tenant=_TEXT,
            rule=_TEXT,
            rule_version=pa.int32(),
            run=_TEXT,
            one_id=_TEXT,
            node=_TEXT,
            entered_ms=pa.int64(),
            step=_TEXT,
            why=_TEXT,
            since_ms=pa.int64(),
            moved_time_ms=pa.int64(),
            seq=pa.int64(),
        )
    ),
    "deliveries": pa.schema(
        _columns(tenant=_TEXT, trigger_id=_TEXT, status=_TEXT, event_time_ms=pa.int64(), detail=_TEXT)
    ),
    # With the refused bytes as they came, which hold personal data: people read the view `deadletters`.
    "deadletters_raw": pa.schema(
        [
            *_columns(stage=_TEXT, reason=_TEXT, detail=_TEXT, topic=_TEXT),
            *_columns(raw_partition=pa.int32(), raw_offset=pa.int64(), received_ms=pa.int64()),
            *_optional(schema_id=pa.int32(), raw_key=pa.binary()),
            *_columns(raw=pa.binary()),
        ]
    ),
}
"""What one resolved frame may carry, by ClickHouse table. The sink adds `shard`, `journal_offset` and `block`."""
