"""Frames into blocks: whole frames, in order, each once, as big as asked for."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from schemas.columns import TABLES
from schemas.frames import Resolved
from sinks.batches import Block, BlockSize, cut
from tests.unit.sinks.resolved import frames, rows_of

EVENTS_ONLY = [Resolved(0, offset, 0, {"events": rows_of("events", *[{}] * 5)}) for offset in (0, 2, 5, 6)]


def offsets(blocks: list[Block]) -> list[list[int]]:
    return [[frame.journal_offset for frame in block.frames] for block in blocks]


def test_a_block_ends_with_the_frame_that_fills_it() -> None:
    assert offsets(list(cut(EVENTS_ONLY, 0, 0, BlockSize(rows=10)))) == [[0, 2], [5, 6]]
    assert offsets(list(cut(EVENTS_ONLY, 0, 0, BlockSize(rows=11)))) == [[0, 2, 5], [6]]
    assert offsets(list(cut(EVENTS_ONLY, 0, 0, BlockSize(bytes=1)))) == [[0], [2], [5], [6]]


def test_frames_below_the_position_and_repeats_are_passed_over() -> None:
    given = [*EVENTS_ONLY, *EVENTS_ONLY[1:], EVENTS_ONLY[0]]
    assert offsets(list(cut(given, 0, 1, BlockSize(rows=100)))) == [[2, 5, 6]]


def test_frames_without_rows_open_no_block() -> None:
    empty = [Resolved(0, 9), Resolved(0, 10, 0, {"events": rows_of("events")})]
    assert list(cut(empty, 0, 0, BlockSize())) == []
    assert offsets(list(cut([*EVENTS_ONLY, *empty], 0, 0, BlockSize()))) == [[0, 2, 5, 6]]


def test_a_frame_of_another_shard_is_our_fault() -> None:
    with pytest.raises(ValueError, match="shard 1"):
        list(cut([replace(EVENTS_ONLY[0], shard=1)], 0, 0, BlockSize()))


def test_rows_know_their_shard_their_frame_and_their_block() -> None:
    tables = Block(tuple(frames(3, 4))).tables(77)
    events = tables["events"]
    assert events.column("journal_offset").to_pylist() == [0] * 4 + [2] * 4 + [4] * 4
    assert set(events.column("block").to_pylist()) == {77}
    assert set(events.column("shard").to_pylist()) == {0}
    assert sum(tables["touchpoint_minute_parts"].column("events").to_pylist()) == 12


def test_a_missing_text_becomes_empty_and_a_missing_amount_stays_missing() -> None:
    batch = Block((EVENTS_ONLY[0],)).tables(1)["events"]
    assert batch.column("scene").to_pylist() == [""] * 5
    assert batch.column("amount_fen").null_count == 5


def test_only_tables_with_rows_are_in_a_block() -> None:
    row = {"tenant": "t", "trigger_id": "x"}
    frame = Resolved(0, 0, 0, {"deliveries": rows_of("deliveries", row), "events": rows_of("events")})
    assert set(Block((frame,)).tables(1)) == {"deliveries"}


def test_an_unknown_table_or_column_is_our_fault() -> None:
    batch = pa.RecordBatch.from_pydict({"tenant": ["t"]})
    with pytest.raises(ValueError, match="nowhere"):
        Block((Resolved(0, 0, 0, {"nowhere": batch}),)).tables(1)
    with pytest.raises(ValueError, match="columns of deliveries"):
        Block((Resolved(0, 0, 0, {"deliveries": batch}),)).tables(1)


def test_texts_that_an_older_engine_did_not_know_are_empty() -> None:
    given = rows_of("decisions", {"tenant": "t", "verdict": "sent"}).drop_columns(["step", "late_sources"])
    batch = Block((Resolved(0, 0, 0, {"decisions": given}),)).tables(1)["decisions"]
    assert batch.select(["verdict", "step", "late_sources"]).to_pylist() == [
        {"verdict": "sent", "step": "", "late_sources": ""}
    ]


@pytest.mark.parametrize("table", TABLES)
def test_every_table_of_the_schemas_can_be_written(table: str) -> None:
    block = Block((Resolved(3, 8, 0, {table: rows_of(table, {"tenant": "t"})}),))
    assert block.tables(1)[table].schema.names == [*TABLES[table].names, "journal_offset", "shard", "block"]
