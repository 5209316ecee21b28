"""A model of Kafka: all that exactly-once rests on, and all that it must bear with.

In: what clients ask, one call at a time. Out: records, offsets, epochs. Never: a thread, a clock, a lost record.

Every topic has one partition. What it does on purpose, since Kafka does:
- A transaction takes offsets of its own for its markers. They are written some time after the commit has returned;
  until then readers of committed records stop before it (the last stable offset).
- `init_transactions` ends what its predecessor had open and waits for markers; from then on the predecessor is fenced.
- Readers of uncommitted records see what is aborted later. A group's committed offset is what somebody said last.
- Reading from below the start of a log that was cut off goes on at its start, without a word.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.shell.steps import Died


class Fenced(Died):
    """Another producer has taken this transactional id, or the broker gave the transaction up: this one is dead."""


class Record(NamedTuple):
    """A record of a log; `transaction` is 0 where it is in none."""

    value: bytes
    transaction: int = 0


class Marker(NamedTuple):
    """How a transaction ended, as it stands in a log that it wrote to."""

    transaction: int
    committed: bool


class Found(NamedTuple):
    """A record as a reader gets it."""

    offset: int
    value: bytes


class Transaction(NamedTuple):
    """One under way, or decided and not yet marked in these topics (`committed` None: under way)."""

    number: int
    topics: tuple[str, ...] = ()
    committed: bool | None = None


@dataclass
class Broker:
    """Logs by topic, and for each transactional id its epoch and its last transaction that is not over."""

    logs: dict[str, tuple[Record | Marker, ...]] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    """The committed offset of each group."""
    begun: int = 0

    def copy(self) -> Broker:
        """Another broker in the same state."""
        logs, starts, epochs, transactions, groups = map(dict, self._parts())
        return Broker(logs, starts, epochs, transactions, groups, self.begun)

    def key(self) -> Hashable:
        """Equal for brokers in the same state."""
        return tuple(tuple(sorted(part.items())) for part in self._parts())

    def _parts(self) -> Iterator[dict[str, Any]]:
        yield from (self.logs, self.starts, self.epochs, self.transactions, self.groups)

    # Producers.

    def append(self, topic: str, value: bytes, transaction: int = 0) -> int:
        """Writes a record, outside of a transaction unless told; its offset."""
        log = self.logs.get(topic, ())
        self.logs[topic] = (*log, Record(value, transaction))
        return len(log)

    def init_transactions(self, name: str) -> int:
        """The epoch of a new producer of this transactional id; its predecessor is fenced."""
        self.end(name, committed=False)
        self.mark(name)
        self.epochs[name] = self.epochs.get(name, 0) + 1
        return self.epochs[name]

    def send(self, name: str, epoch: int, topic: str, value: bytes) -> int:
        """Writes a record in the producer's transaction, which it begins if there is none. Raises Fenced."""
        self._assert_newest(name, epoch)
        if name not in self.transactions or self.transactions[name].committed is not None:
            self.mark(name)
            self.begun += 1
            self.transactions[name] = Transaction(self.begun)
        now = self.transactions[name]
        self.transactions[name] = now._replace(topics=tuple(sorted({*now.topics, topic})))
        return self.append(topic, value, now.number)

    def commit(self, name: str, epoch: int) -> None:
        """Decides that the transaction counts; the markers come later. Raises Fenced."""
        self._assert_newest(name, epoch)
        self.end(name, committed=True)

    def time_out(self, name: str) -> None:
        """Gives the open transaction up; its producer is fenced."""
        self.epochs[name] += 1
        self.end(name, committed=False)
        self.mark(name)

    def end(self, name: str, *, committed: bool) -> None:
        """Decides what becomes of the open transaction, if there is one."""
        now = self.transactions.get(name)
        if now is not None and now.committed is None:
            self.transactions[name] = now._replace(committed=committed)

    def mark(self, name: str) -> None:
        """Writes the markers of a transaction that is decided."""
        now = self.transactions.get(name)
        if now is not None and now.committed is not None:
            for topic in sorted(now.topics):
                self.logs[topic] += (Marker(now.number, now.committed),)
            del self.transactions[name]

    def _assert_newest(self, name: str, epoch: int) -> None:
        if epoch != self.epochs.get(name):
            raise Fenced(name)

    # Readers.

    def everything(self, topic: str, start: int = 0) -> Iterator[Found]:
        """Records from this offset on, whatever becomes of their transactions: what Faust's consumers see."""
        first = max(start, self.starts.get(topic, 0))
        for offset, entry in enumerate(self.logs.get(topic, ())[first:], first):
            if isinstance(entry, Record):
                yield Found(offset, entry.value)

    def committed(self, topic: str, start: int = 0) -> Iterator[Found]:
        """Records from this offset on that count, up to the first whose transaction is not over."""
        log = self.logs.get(topic, ())
        aborted = {entry.transaction for entry in log if isinstance(entry, Marker) and not entry.committed}
        first = max(start, self.starts.get(topic, 0))
        for offset in range(first, self.stable_end(topic)):
            entry = log[offset]
            if isinstance(entry, Record) and entry.transaction not in aborted:
                yield Found(offset, entry.value)

    def stable_end(self, topic: str) -> int:
        """Where readers of committed records stop."""
        log = self.logs.get(topic, ())
        undone = {now.number for now in self.transactions.values() if topic in now.topics}
        return next((at for at, entry in enumerate(log) if entry.transaction in undone), len(log))

    def cut_off(self, topic: str, start: int) -> None:
        """Deletes all records below this offset."""
        self.starts[topic] = max(start, self.starts.get(topic, 0))
