"""An erased person is in no table, whatever was cut off when; nobody else's rows go; a rebuild brings nothing back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

from schemas.columns import TABLES
from schemas.frames import Resolved
from sinks import audit
from sinks.batches import BlockSize
from sinks.erasing import BY_NODE
from sinks.memory import MemorySink
from sinks.rebuild import Rebuild
from sinks.sink import Database, Sink, SinkUnavailable
from sinks.writer import BlockWriter
from streams.identity.nodes import hash_of
from tests.support.frames import SALT, Ev, Journal, Said, fold
from tests.unit.sinks.interrupted import How, Interrupted
from tests.unit.sinks.opened import DATABASES, SINKS, opened_sink
from tests.unit.sinks.reading import raw_rows
from tests.unit.sinks.resolved import rows_of

BASE = 1_718_000_000_000
GONE = (("openid", "wx1", "o-1"), ("phone", "", "+8613912340001"), ("uid", "", "u-1"))
STAYS = (("openid", "wx1", "o-2"), ("uid", "", "u-2"))
SMALL = BlockSize(rows=6)


def node(who: tuple[str, str, str]) -> str:
    return hash_of("\x1f".join(("t1", *who)), SALT)


HASHES = {node(who) for who in GONE}


@cache
def resolved() -> tuple[Resolved, ...]:
    """Two persons with events, triggers and receipts; one is erased; then more events of both."""
    journal = Journal()
    for number in range(4):
        ids = (GONE[:2], STAYS, GONE[1:], STAYS)[number]
        journal.add(Ev(BASE + number, ids=ids, id=f"e{number}"))
    journal.add(Ev(BASE + 5, ids=(STAYS[1], GONE[1]), id="claimed"))
    erase = {"tenant": "t1", "kind": "erase", "a": _identity(GONE[2]), "b": None, "command_id": "c", "time": BASE + 6}
    journal.lane((*journal.partitions, Said(0, "command", {}).on), [Said(BASE + 6, "command", erase)])
    journal.add(Ev(BASE + 7, ids=GONE[2:], id="after"), Ev(BASE + 8, ids=STAYS, id="other"))
    frames = [output.resolved for output in fold(journal.frames)[1]]
    return (_with_sends(frames[0]), *frames[1:])


def _identity(who: tuple[str, str, str]) -> dict[str, Any]:
    return {"kind": who[0], "scope": who[1] or None, "value": who[2]}


def _with_sends(frame: Resolved) -> Resolved:
    """Triggers, decisions and receipts of both, as if rules had fired."""
    nodes = {"x": node(GONE[1]), "y": node(STAYS[1])}
    sends: dict[str, pa.RecordBatch] = {}
    for table in ("triggers", "decisions"):
        rows = [{"tenant": "t1", "trigger_id": trigger_id, "node": of} for trigger_id, of in nodes.items()]
        sends[table] = rows_of(table, *rows)
    sends["deliveries"] = rows_of("deliveries", *({"tenant": "t1", "trigger_id": one} for one in nodes))
    return Resolved(frame.shard, frame.journal_offset, frame.progress_ms, {**frame.tables, **sends})


def of_shard(shard: int) -> list[Resolved]:
    return [Resolved(shard, one.journal_offset, one.progress_ms, one.tables) for one in resolved()]


@pytest.fixture(params=SINKS)
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sink]:
    with opened_sink(request, tmp_path) as opened:
        yield opened


def left(sink: Sink, shard: int = 0) -> dict[str, int]:
    """How many rows each table has that name an erased node, or a trigger of one."""
    found: dict[str, int] = {}
    for table in TABLES.keys() - {"identity_erased"}:
        rows = raw_rows(sink, table, shard)
        named = [row for row in rows if HASHES & {str(value) for value in row.values()} or row.get("trigger_id") == "x"]
        found[table] = len(named)
    return found


def others(sink: Sink, shard: int = 0) -> dict[str, list[str]]:
    return {
        "events": sorted(row["event_id"] for row in raw_rows(sink, "events", shard)),
        **{t: sorted(row["trigger_id"] for row in raw_rows(sink, t, shard)) for t in ("triggers", "deliveries")},
    }


KEPT = {"events": ["after", "claimed", "e1", "e3", "other"], "triggers": ["y"], "deliveries": ["y"]}


def test_every_column_that_names_a_node_is_looked_at() -> None:
    columns = {(table, one) for table, schema in TABLES.items() for one in schema.names if one.startswith("node")}
    assert columns - {("identity_erased", "node")} == set(BY_NODE)


@pytest.mark.parametrize("size", [SMALL, BlockSize()], ids=["many blocks", "one block"])
def test_no_row_of_an_erased_person_stands_in_any_table(sink: Sink, size: BlockSize) -> None:
    frames = of_shard(0)
    BlockWriter(sink, 0, size=size).write(frames[:5])
    assert left(sink)["events"] == 2
    BlockWriter(sink, 0, size=size).write(frames)
    assert set(left(sink).values()) == {0}
    assert others(sink) == KEPT


def test_who_returns_has_rows_under_another_node(sink: Sink) -> None:
    BlockWriter(sink, 0).write(of_shard(0))
    (after,) = [row for row in raw_rows(sink, "events", 0) if row["event_id"] == "after"]
    assert after["node"] == hash_of("\x1f".join(("t1", *GONE[2])), SALT, 1)
    assert after["one_id"] not in HASHES


@pytest.mark.parametrize("how", [How.HALF, How.ALL])
def test_an_erasure_that_is_cut_off_at_any_call_is_done_by_the_next_writer(sink: Sink, how: How) -> None:
    """Who dies before a call leaves what one leaves who dies after the call before it."""
    for shard in _deaths(sink, how):
        place, given = MemorySink() if isinstance(sink, MemorySink) else sink, of_shard(shard)
        with pytest.raises(SinkUnavailable):
            BlockWriter(Interrupted(place, shard, how), shard, size=SMALL).write(given)
        BlockWriter(place, shard, size=SMALL, patience_s=0.2).write(given)
        assert set(left(place, shard).values()) == {0}, f"call {shard}"
        assert others(place, shard) == KEPT, f"call {shard}"
    if not isinstance(sink, MemorySink):
        assert list(audit.differences(cast("Database", sink), settled=True)) == []


def _deaths(sink: Sink, how: How) -> list[int]:
    """The calls to die at; a half can be done of an insert only. Of a database some around the erasure: what it keeps
    of each of them makes it slower."""
    watched = Interrupted(MemorySink(), 0, How.NOTHING)
    BlockWriter(watched, 0, size=SMALL).write(of_shard(0))
    assert watched.calls > 100
    calls, step = (watched.inserts, 5) if how is How.HALF else ([*range(1, watched.calls + 1)], 12)
    return calls if isinstance(sink, MemorySink) else [call for call in calls if call >= 20][::step]


@pytest.mark.parametrize("sink", DATABASES, indirect=True)
@pytest.mark.parametrize("start", [0, 3])
def test_a_rebuild_brings_nothing_back(sink: Sink, start: int) -> None:
    database = cast("Database", sink)
    BlockWriter(database, 0, size=BlockSize(rows=1)).write(of_shard(0))
    assert list(audit.differences(database, settled=True)) == []
    rebuild = Rebuild(database)
    rebuild.begin({0: start})
    rebuild.writer(0).write(one for one in of_shard(0) if one.journal_offset >= start)
    rebuild.check()
    rebuild.swap()
    rebuild.close()
    assert set(left(database).values()) == {0}
    assert others(database) == KEPT
