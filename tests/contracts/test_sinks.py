"""One suite over every sink, memory, embedded chDB and a real ClickHouse: what `Sink` promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from sinks.memory import MemorySink
from sinks.sink import Guard, Sink
from tests.unit.sinks.opened import SINKS, opened_sink
from tests.unit.sinks.reading import raw_rows
from tests.unit.sinks.resolved import rows_of

ENTRY = pa.schema([("shard", pa.uint16()), ("n", pa.uint64()), ("state", pa.string())])


@pytest.fixture(params=SINKS)
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sink]:
    with opened_sink(request, tmp_path) as opened:
        yield opened


def entries(*rows: tuple[int, int, str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(zip(ENTRY.names, row, strict=True)) for row in rows], schema=ENTRY)


def test_what_was_inserted_is_counted_by_its_values(sink: Sink) -> None:
    sink.insert("sink_blocks", entries((0, 1, "begun"), (0, 2, "done"), (1, 1, "begun")))
    assert sink.count("sink_blocks", {"shard": 0}) == 2
    assert sink.count("sink_blocks", {"shard": 0, "state": "begun"}) == 1
    assert sink.count("sink_blocks", {"shard": 7}) == 0


def test_the_last_row_is_the_one_with_the_greatest_value(sink: Sink) -> None:
    sink.insert("sink_blocks", entries((0, 9, "begun"), (0, 10, "done")))
    sink.insert("sink_blocks", entries((0, 2, "begun"), (1, 99, "done")))
    last = sink.last("sink_blocks", "n", {"shard": 0})
    assert last is not None
    assert (last["n"], last["state"]) == (10, "done")
    begun = sink.last("sink_blocks", "n", {"shard": 0, "state": "begun"})
    assert begun is not None
    assert begun["n"] == 9
    assert sink.last("sink_blocks", "n", {"shard": 5}) is None


def test_removed_rows_are_gone_at_once_and_others_stay(sink: Sink) -> None:
    sink.insert("sink_blocks", entries((0, 1, "begun"), (0, 2, "begun")))
    sink.insert("sink_blocks", entries((0, 1, "done"), (1, 1, "begun")))
    sink.remove("sink_blocks", {"shard": 0, "n": 1})
    assert sink.count("sink_blocks", {"shard": 0}) == 1
    assert sink.count("sink_blocks", {"shard": 1}) == 1
    sink.remove("sink_blocks", {"shard": 0, "n": 1})
    assert sink.count("sink_blocks", {"shard": 0}) == 1


def test_rows_removed_and_inserted_again_are_there(sink: Sink) -> None:
    for _ in range(3):
        sink.insert("sink_blocks", entries((0, 1, "begun")))
        sink.remove("sink_blocks", {"shard": 0, "n": 1})
    sink.insert("sink_blocks", entries((0, 1, "begun")))
    assert sink.count("sink_blocks", {"shard": 0}) == 1


def test_the_same_batch_twice_is_twice_the_rows(sink: Sink) -> None:
    for _ in range(2):
        sink.insert("sink_blocks", entries((0, 1, "begun")))
    assert sink.count("sink_blocks", {"shard": 0}) == 2


def test_an_empty_batch_is_nothing(sink: Sink) -> None:
    sink.insert("sink_blocks", entries())
    assert sink.count("sink_blocks", {"shard": 0}) == 0


def test_texts_numbers_and_missing_amounts_come_back_as_they_were(sink: Sink) -> None:
    texts = ["", "it's", "back\\slash", "新品", "tab\tline\nnull\x00", "\u2028"]
    rows = [
        {"event_id": text, "properties": text, "amount_fen": amount, "event_time_ms": 1_718_000_000_123}
        for text, amount in zip(texts, [None, 0, -1, 2**62, None, 5], strict=True)
    ]
    batch = rows_of("events", *rows).select(["event_id", "properties", "amount_fen", "event_time_ms"])
    sink.insert("events", batch.append_column("shard", pa.repeat(pa.scalar(0, pa.uint16()), len(rows))))
    found = {row["event_id"]: row for row in raw_rows(sink, "events", 0)}
    assert {text: found[text]["amount_fen"] for text in texts} == {row["event_id"]: row["amount_fen"] for row in rows}
    assert all(found[text]["properties"] == text for text in texts)


def test_a_slice_of_a_batch_brings_its_own_rows_alone(sink: Sink) -> None:
    sink.insert("sink_blocks", entries((0, 1, "a"), (0, 2, "b"), (0, 3, "c")).slice(1, 1))
    assert [row["state"] for row in raw_rows(sink, "sink_blocks", 0)] == ["b"]


def test_a_batch_may_touch_hundreds_of_months(sink: Sink) -> None:
    months = rows_of("events", *({"event_time_ms": month * 2_700_000_000} for month in range(150)))
    batch = months.select(["event_time_ms", "tenant"])
    sink.insert("events", batch.append_column("shard", pa.repeat(pa.scalar(0, pa.uint16()), 150)))
    assert sink.count("events", {"shard": 0}) == 150


def test_rows_under_a_guard_come_while_it_holds_and_not_after(sink: Sink) -> None:
    first = Guard("sink_blocks", "n", {"shard": 0}, 0)
    sink.insert("sink_blocks", entries((1, 9, "of another shard")), guard=Guard("sink_blocks", "n", {"shard": 1}, 0))
    for _ in range(2):
        sink.insert("sink_blocks", entries((0, 3, "done"), (0, 2, "begun")), guard=first)
    assert sink.count("sink_blocks", {"shard": 0}) == 2
    sink.insert("sink_blocks", entries((0, 4, "owned")), guard=replace(first, value=3))
    sink.insert("sink_blocks", entries((0, 4, "late")), guard=replace(first, value=3))
    assert [row["state"] for row in raw_rows(sink, "sink_blocks", 0) if row["n"] == 4] == ["owned"]


def test_texts_and_missing_amounts_under_a_guard_come_back_as_they_were(sink: Sink) -> None:
    texts = ["", "it's", "back\\slash", "新品", "tab\tline\nnull\x00"]
    rows = [{"event_id": text, "amount_fen": None if index % 2 else index} for index, text in enumerate(texts)]
    batch = rows_of("events", *rows).select(["event_id", "amount_fen"])
    batch = batch.append_column("shard", pa.repeat(pa.scalar(0, pa.uint16()), len(rows)))
    sink.insert("events", batch, guard=Guard("sink_blocks", "n", {"shard": 0}, 0))
    found = {row["event_id"]: row["amount_fen"] for row in raw_rows(sink, "events", 0)}
    assert found == {row["event_id"]: row["amount_fen"] for row in rows}


def test_nothing_is_unfinished_after_its_call(sink: Sink) -> None:
    sink.insert("sink_blocks", entries((0, 1, "begun")), label="siyu-sink-0-")
    assert sink.unfinished("siyu-sink-0-") == 0


def test_a_table_that_is_not_there_is_our_fault(sink: Sink) -> None:
    if isinstance(sink, MemorySink):
        pytest.skip("memory makes its tables as they come")
    with pytest.raises(ValueError, match="nowhere"):
        sink.insert("nowhere", entries((0, 1, "begun")))
    with pytest.raises(ValueError, match="nowhere"):
        sink.count("nowhere", {"shard": 0})


def test_closing_twice_is_harmless(sink: Sink) -> None:
    sink.close()
    sink.close()
