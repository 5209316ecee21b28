"""All that outlives a process: Kafka, the disk of each owner, snapshots, the sink, and what Faust is about to hand out.

In: single calls. Out: answers, and copies of it all. Never: the memory of a process.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from streams.ingest.record import RawRecord
from streams.journal.frame import Partition
from streams.worker.state.store import MemoryStore, Position, rows_of
from tests.support.shell.broker import Broker
from tests.support.shell.facts import Facts
from tests.support.shell.folds import Rows, packed, unpacked


class Kept(NamedTuple):
    """Rows, and the place in journal and changelog that they stand for: a store's content, or a snapshot's."""

    position: Position = Position()
    rows: Rows = ()


NOTHING = Kept()


@cache
def after(kept: Kept, changes: Rows, position: Position) -> Kept:
    """What a real store holds after one more commit."""
    store = MemoryStore()
    store.commit(unpacked(kept.rows), kept.position)
    store.commit(unpacked(changes), position)
    return Kept(store.position(), packed(rows_of(store)))


@dataclass
class World:
    """All of it. `handed`: the offset that Faust hands to each owner next."""

    kafka: Broker = field(default_factory=Broker)
    disks: dict[str, tuple[Kept, ...]] = field(default_factory=dict)
    handed: dict[str, int] = field(default_factory=dict)
    snapshots: tuple[Kept, ...] = ()
    facts: Facts = field(default_factory=Facts)
    raw: dict[Partition, tuple[RawRecord, ...]] = field(default_factory=dict)
    now_ms: int = 0

    def copy(self) -> World:
        """Another world in the same state."""
        disks, handed, raw = dict(self.disks), dict(self.handed), dict(self.raw)
        return World(self.kafka.copy(), disks, handed, self.snapshots, self.facts.copy(), raw, self.now_ms)

    def key(self) -> Hashable:
        """Equal for worlds in the same state."""
        told = tuple(tuple(sorted(part.items())) for part in (self.disks, self.handed, self.raw))
        return self.kafka.key(), told, self.snapshots, self.facts.key(), self.now_ms

    def receive(self, part: Partition, value: bytes | None, wait_ms: int = 1) -> None:
        """A raw record comes, a while after the last one."""
        self.now_ms += wait_ms
        before = self.raw.get(part, ())
        self.raw[part] = (*before, RawRecord(*part, len(before), self.now_ms, None, value))
        self.now_ms += 1

    def disk(self, owner: str) -> Kept:
        """What the owner's store holds."""
        return (NOTHING, *self.disks.get(owner, ()))[-1]

    def write(self, owner: str, kept: Kept) -> Kept:
        """Writes rows and position to the owner's store, together."""
        self.disks[owner] = (*self.disks.get(owner, ()), kept)
        return kept
