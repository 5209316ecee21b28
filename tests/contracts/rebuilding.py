"""Rebuilds of small tables: of what they are made, and what stands after them.

In: an opened database, frames. Out: the rebuild, the facts. Never: a judgement.
"""

from __future__ import annotations

from schemas.frames import Resolved
from sinks.batches import BlockSize
from sinks.rebuild import Rebuild
from sinks.sink import Database
from sinks.writer import BlockWriter
from tests.unit.sinks.reading import Rows, facts
from tests.unit.sinks.resolved import frames

SMALL = BlockSize(rows=12)
GIVEN = frames(8, 5)


def writer(database: Database, shard: int = 0) -> BlockWriter:
    return BlockWriter(database, shard, size=SMALL, patience_s=0.2)


def rebuilt(live: Database, given: list[Resolved], start: int = 0) -> Rebuild:
    """A rebuild of shard 0 from this offset on, filled with these frames and not swapped in yet."""
    building = Rebuild(live)
    building.begin({0: start})
    building.writer(0, SMALL).write(frame for frame in given if frame.journal_offset >= start)
    building.check()
    return building


def swapped(live: Database, given: list[Resolved], start: int = 0) -> None:
    building = rebuilt(live, given, start)
    building.swap()
    building.close()


def written(live: Database, given: list[Resolved], shard: int = 0) -> dict[str, Rows]:
    writer(live, shard).write(given)
    return facts(live, shard)


def left_behind(live: Database) -> list[str]:
    names = [str(row[0]) for row in live.query("SELECT name FROM system.databases").rows]
    return [name for name in names if name.startswith("siyu_")]
