"""What the engine made of a frame, as columns for the sink and records for the public.

In: the frame, the person of each accepted row, identity facts, receipts. Out: a `Resolved`, public identity records.
Never: a decision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from schemas.columns import FACTS, TABLES
from schemas.frames import Resolved
from schemas.masking import hidden, masked
from schemas.records import Reason
from streams.compact.rows import Node
from streams.identity.changes import Erased, Freed, Held, IdentityFact, Linked, Merged, Moved, Refused, Unlinked
from streams.identity.nodes import parts_of
from streams.journal.frame import Entry, Frame


class Facts:
    """Gathers the tables of one resolved frame; `rows` by table name are plain dicts with that table's columns."""

    def __init__(self, shard: int, offset: int, frame: Frame) -> None:
        self._shard = shard
        self._offset = offset
        self._frame = frame
        self._at: list[int] = []
        self._nodes: list[str] = []
        self._persons: list[str] = []
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES if name != "events"}

    def add(self, at: int, node: Node) -> None:
        """Event row `at` is accepted and belongs to this node and person."""
        self._at.append(at)
        self._nodes.append(node.node_id)
        self._persons.append(node.one_id)

    def delivery(self, record: Mapping[str, Any]) -> None:
        """A receipt came in."""
        names = ("tenant", "trigger_id", "status", "detail")
        self.rows["deliveries"].append({**{n: record[n] for n in names}, "event_time_ms": record["time"]})

    def dead_letter(self, entry: Entry, reason: Reason, detail: str) -> dict[str, Any]:
        """The dead letter of an entry; its raw bytes are the record as JSON, the framed ones stand at its offset."""
        part = self._frame.ranges[entry.source]
        return {
            "stage": "engine",
            "reason": reason.value,
            "detail": detail,
            "raw": json.dumps(entry.record, ensure_ascii=False, sort_keys=True).encode(),
            "raw_key": None,
            "topic": part.topic,
            "partition": part.partition,
            "offset": entry.raw_offset,
            "schema_id": None,
            "time": entry.received_ms,
        }

    def dead_letters(self, letters: Iterable[Mapping[str, Any]]) -> None:
        """What was refused, in this frame or by it."""
        self.rows["deadletters_raw"] += map(_letter_row, letters)

    def identity(self, facts: Iterable[IdentityFact], hash_of: Callable[[str], str]) -> None:
        """Rows of the tables `identity_*`: links, moves, what is held, other changes; `hash_of` hashes a node."""
        for fact in facts:
            if isinstance(fact, Moved):
                self.rows["identity_map"].append(_map_row(fact))
                if fact.was:
                    self.rows["identity_moves"].append(_move_row(fact))
            elif isinstance(fact, Linked):
                self.rows["identity_links"].append(_link_row(fact))
            elif isinstance(fact, Erased):
                self.rows["identity_erased"] += _erased_rows(fact)
            elif isinstance(fact, Held | Freed):
                self.rows["identity_holds"].append(_hold_row(fact))
            else:
                self.rows["identity_changes"].append(_change_row(fact, hash_of))

    def resolved(self, progress_ms: int) -> Resolved:
        """The frame for the sink."""
        tables = {
            name: pa.RecordBatch.from_pylist(rows, schema=TABLES[name]) for name, rows in self.rows.items() if rows
        }
        if self._at:
            tables["events"] = self._events()
        return Resolved(self._shard, self._offset, progress_ms, tables)

    def _events(self) -> pa.RecordBatch:
        events = self._frame.events
        if len(self._at) < events.num_rows:
            events = events.take(pa.array(self._at, pa.int32()))
        topics = pa.array([part.topic.removeprefix("events.raw.") for part in self._frame.ranges], pa.string())
        columns = {
            "source": topics.take(events.column("source")),
            "referrer_value": _masked(events),
            "node": pa.array(self._nodes, pa.string()),
            "one_id": pa.array(self._persons, pa.string()),
        }
        return pa.RecordBatch.from_arrays(
            [columns[name] if name in columns else events.column(name) for name in FACTS.names], schema=FACTS
        )


def _masked(events: pa.RecordBatch) -> pa.Array:
    """Who shared, with phones and e-mails masked: people read this column."""
    values, kinds = events.column("referrer_value"), events.column("referrer_kind")
    if values.null_count == len(values):
        return values
    pairs = zip(kinds.to_pylist(), values.to_pylist(), strict=True)
    return pa.array([value and masked(kind, value) for kind, value in pairs], pa.string())


def identity_records(facts: Iterable[IdentityFact]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Key, subject and record of each public identity change, in order."""
    for fact in facts:
        record = _erased(fact) if isinstance(fact, Erased) else _change(fact)
        if record is not None:
            yield f"{record['tenant']}:{record['one_id']}", "identity_change", record


def _change(fact: IdentityFact) -> dict[str, Any] | None:
    if isinstance(fact, Moved | Erased) or (isinstance(fact, Freed) and not fact.word):
        return None
    if isinstance(fact, Linked):
        return _record(fact, "linked", fact.one_id, None, _seen(fact))
    if isinstance(fact, Merged):
        return _record(fact, "merged", fact.gone, fact.into, _seen(fact))
    if isinstance(fact, Unlinked):
        return _record(fact, "unlinked", fact.one_id, fact.into, "command" if fact.b else "decided_again")
    if isinstance(fact, Freed):
        return _record(fact, fact.word, fact.one_id, None, "command")
    return _record(fact, "held" if isinstance(fact, Held) else "refused", fact.one_id, None, fact.reason)


def _seen(fact: Linked | Merged) -> str:
    return "command" if fact.by_command else "shared_event"


def _record(
    fact: Linked | Merged | Refused | Held | Freed | Unlinked, kind: str, one_id: str, into: str | None, reason: str
) -> dict[str, Any]:
    return {
        "tenant": parts_of(fact.a)[0],
        "kind": kind,
        "one_id": one_id,
        "into": into,
        "a": _identity(fact.a),
        "b": None if fact.b is None else _identity(fact.b),
        "evidence": {"event_id": fact.evidence.event_id, "event_time": fact.evidence.event_time_ms},
        "reason": reason,
        "seq": fact.seq,
    }


def _erased(fact: Erased) -> dict[str, Any]:
    """Without the id: it would outlive the person here."""
    return {
        "tenant": fact.tenant,
        "kind": "erased",
        "one_id": fact.one_id,
        "into": None,
        "a": {"kind": fact.kind, "scope": None, "value": ""},
        "b": None,
        "evidence": {"event_id": fact.evidence.event_id, "event_time": fact.evidence.event_time_ms},
        "reason": "command",
        "seq": fact.seq,
    }


def _identity(node: str) -> dict[str, Any]:
    _, kind, scope, value = parts_of(node)
    return {"kind": kind, "scope": scope or None, "value": value}


def _letter_row(letter: Mapping[str, Any]) -> dict[str, Any]:
    names = ("stage", "reason", "topic", "schema_id", "raw_key", "raw")
    place = {"raw_partition": letter["partition"], "raw_offset": letter["offset"], "received_ms": letter["time"]}
    return {**{name: letter[name] for name in names}, **place, "detail": hidden(letter["detail"])}


def _map_row(fact: Moved) -> dict[str, Any]:
    tenant, kind, scope, value = parts_of(fact.node)
    return {
        "tenant": tenant,
        "node": fact.node_id,
        "kind": kind,
        "scope": scope,
        "value": masked(kind, value),
        "one_id": fact.one_id,
        "seq": fact.seq,
    }


def _hold_row(fact: Held | Freed) -> dict[str, Any]:
    a, b = sorted(((fact.a_id, fact.a), (fact.b_id, fact.b)), key=lambda end: (not end[0], end[0]))
    row: dict[str, Any] = {"tenant": parts_of(fact.a)[0]}
    for side, (node_id, node) in (("a", a), ("b", b)):
        _, kind, scope, value = parts_of(node) if node is not None else ("", "", "", "")
        row |= {f"node_{side}": node_id, f"kind_{side}": kind, f"scope_{side}": scope}
        row |= {f"value_{side}": masked(kind, value)}
    word, reason = ("held", fact.reason) if isinstance(fact, Held) else (fact.word or "ended", "")
    evidence = {"event_id": fact.evidence.event_id, "event_time_ms": fact.evidence.event_time_ms}
    return row | {"word": word, "reason": reason, **evidence, "seq": fact.seq}


def _move_row(fact: Moved) -> dict[str, Any]:
    tenant, *_ = parts_of(fact.node)
    return {"tenant": tenant, "node": fact.node_id, "was": fact.was, "one_id": fact.one_id, "seq": fact.seq}


def _change_row(fact: Merged | Refused | Unlinked, hash_of: Callable[[str], str]) -> dict[str, Any]:
    """The public record as a row, with hashes for the ids."""
    record = _change(fact)
    assert record is not None
    return {
        **{name: record[name] for name in ("tenant", "kind", "one_id", "reason", "seq")},
        "into_id": record["into"] or "",
        "node_a": hash_of(fact.a),
        "node_b": hash_of(fact.b) if fact.b else "",
        "event_id": fact.evidence.event_id,
        "event_time_ms": fact.evidence.event_time_ms,
    }


def _erased_rows(fact: Erased) -> list[dict[str, Any]]:
    told = {"tenant": fact.tenant, "command_id": fact.evidence.event_id, "erased_ms": fact.evidence.event_time_ms}
    return [told | {"node": node_id} for _, node_id in fact.nodes]


def _link_row(fact: Linked) -> dict[str, Any]:
    return {
        "tenant": parts_of(fact.a)[0],
        "node_a": fact.a_id,
        "node_b": fact.b_id,
        "event_id": fact.evidence.event_id,
        "event_time_ms": fact.evidence.event_time_ms,
        "seq": fact.seq,
    }
