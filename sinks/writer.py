"""Facts into a sink exactly once: the writer of one shard's blocks.

In: resolved frames, at least once and in journal order. Out: every row once. Never: Kafka, a retry, a partial block
left behind for long: the one block in doubt is settled before anything else is written.

A block is begun (the ledger says so, with the rows it will bring), inserted table by table, done. Every insert is
guarded: it brings its rows only while the block's entry is the newest of the ledger. So a new owner who has appended
a claim, and waited until statements that looked before it have ended, finds rows that nobody adds to any more. It
counts the block that is begun and not done: all rows there, it is noted done; else they are removed and the block
noted so, and its frames come again from the journal. The proof is the ledger; the server's own deduplication is not
used.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

import pyarrow as pa

from schemas.frames import Resolved
from sinks import erasing, ledger
from sinks.batches import Block, BlockSize, cut
from sinks.ledger import Entry, State
from sinks.sink import Sink, SinkUnavailable

_POLL_S = 0.05


class AnotherWriter(Exception):
    """The ledger shows entries that aren't ours: the shard has a new owner, and this writer is to stop for good."""


class TablesRebuilt(Exception):
    """Rebuilt tables were swapped in: the next call takes the shard over at their position, lower ones may be due."""


@dataclass(frozen=True, slots=True)
class Written:
    """What one `write` put into the sink: blocks, rows, and rows by table."""

    blocks: int = 0
    rows: int = 0
    tables: Mapping[str, int] = field(default_factory=dict)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class BlockWriter:
    """Writes one shard. After `SinkUnavailable` call again with the same frames, or later ones of the same journal.

    One writer a shard. A second one that takes over claims the shard in the ledger first; what the first one inserts
    from then on brings nothing, and it raises AnotherWriter as soon as it appends to the ledger, and ever after.
    `label` marks the statements on the server, for others to wait for. Not thread-safe.
    """

    def __init__(
        self,
        sink: Sink,
        shard: int,
        *,
        size: BlockSize | None = None,
        patience_s: float = 30.0,
        now_ms: Callable[[], int] = _now_ms,
        label: str = "siyu-sink",
    ) -> None:
        self._sink = sink
        self._shard = shard
        self._size = size or BlockSize()
        self._patience_s = patience_s
        self._now_ms = now_ms
        self._owner = uuid.uuid4().hex
        self._label = f"{label}-{shard}-"
        self._newest: Entry | None = None
        self._won = 0
        self._lost = ""

    def position(self) -> int:
        """The next journal offset to write; 0 before the first block. Settles first, and raises as `settle`."""
        return self._settled().position

    def write(self, frames: Iterable[Resolved]) -> Written:
        """Writes what is new among the frames, as blocks; returns when all of it stands, and the shard is still ours.

        Raises SinkUnavailable, AnotherWriter, TablesRebuilt, and ValueError for frames that are not of this shard or
        schema.
        """
        blocks = 0
        tables: Counter[str] = Counter()
        for block in cut(frames, self._shard, self.position(), self._size):
            tables += Counter(self._write_block(block))
            blocks += 1
        if not blocks:
            self._assert_ours()
        return Written(blocks, tables.total(), tables)

    def settle(self) -> State:
        """Takes the shard over: claims it in the ledger, and decides on the block in doubt, if there is one.

        Returns DONE or REMOVED for that block, OWNED where none was in doubt, ERASED where persons had still to be
        taken out. Raises SinkUnavailable, AnotherWriter, TablesRebuilt.
        """
        return State(self._take_over().state)

    def _settled(self) -> Entry:
        return self._take_over() if self._newest is None else self._newest

    def _assert_ours(self) -> None:
        """Where nothing is to be written it is seen here that tables were rebuilt, and may lack what was."""
        newest, ours = ledger.newest(self._sink, self._shard), self._settled()
        if newest is None or (newest.n, newest.owner) != (ours.n, ours.owner):
            self._newest = None
            self._stop()

    def _take_over(self) -> Entry:
        if self._lost:
            raise AnotherWriter(self._lost)
        self._newest = None
        self._await_silence()  # else a statement of our own may come between
        claim = self._claim(ledger.newest(self._sink, self._shard))
        self._await_silence()  # whoever looked before our claim stood ends; whoever looks later brings nothing
        doubted = ledger.in_doubt(self._sink, self._shard)
        if doubted and doubted.n > claim.n:
            self._stop()  # a successor's, who is at it: not ours to judge
        verdict = self._decide(doubted, claim) if doubted else claim
        self._newest = self._erased(replace(verdict, position=ledger.position(self._sink, self._shard)))
        return self._newest

    def _erased(self, newest: Entry) -> Entry:
        """Takes out persons whom the last block told to be erased, if that is not done yet."""
        done = ledger.to_erase(self._sink, self._shard, erasing.ERASED)
        if done is None:
            return newest
        try:
            guard = ledger.is_newest(self._shard, newest.n)
            erasing.Erasure(self._sink, self._shard, done.block, guard, self._label).run()
        except erasing.Overtaken:
            self._stop()
        verdict = replace(done, n=newest.n, position=newest.position)
        return self._append(self._next(verdict, State.ERASED), newest.n)

    def _claim(self, newest: Entry | None) -> Entry:
        if self._won and (newest is None or newest.owner != self._owner):
            self._stop()
        nothing = Entry(self._shard, 0, 0, State.OWNED, 0, 0, 0, "{}", self._owner, 0)
        before = nothing if newest is None else replace(newest, block=0, rows="{}")
        return self._append(self._next(before, State.OWNED), before.n)

    def _write_block(self, block: Block) -> Mapping[str, int]:
        before = self._settled()
        tables = block.tables(before.n + 1)
        self._newest = None  # until the block is done it is in doubt, whatever happens
        begun = self._append(self._begun(block, tables, before), before.n)
        for name, batch in tables.items():
            self._sink.insert(name, batch, self._label, ledger.is_newest(self._shard, begun.n))
        done = self._append(self._next(begun, State.DONE, position=begun.last_offset + 1), begun.n)
        self._newest = self._erased(done) if erasing.ERASED in tables else done
        return begun.expected

    def _decide(self, doubted: Entry, claim: Entry) -> Entry:
        judged = replace(doubted, n=claim.n)
        if self._is_whole(doubted):
            return self._append(self._next(judged, State.DONE, position=doubted.last_offset + 1), claim.n)
        for table in doubted.expected:
            self._sink.remove(table, {"shard": doubted.shard, "block": doubted.block})
        return self._append(self._next(judged, State.REMOVED), claim.n)

    def _is_whole(self, block: Entry) -> bool:
        chosen = {"shard": block.shard, "block": block.block}
        return all(self._sink.count(table, chosen) == rows for table, rows in block.expected.items())

    def _begun(self, block: Block, tables: Mapping[str, pa.RecordBatch], before: Entry) -> Entry:
        begun = self._next(before, State.BEGUN)
        first, last = block.first_offset, block.last_offset
        return replace(begun, block=begun.n, first_offset=first, last_offset=last, rows=ledger.rows_text(tables))

    def _next(self, entry: Entry, state: State, position: int | None = None) -> Entry:
        at = entry.position if position is None else position
        noted = self._now_ms()
        return replace(entry, n=entry.n + 1, state=state, position=at, owner=self._owner, noted_ms=noted)

    def _append(self, entry: Entry, after: int) -> Entry:
        if not ledger.append(self._sink, entry, after, self._label):
            self._stop()
        self._won = entry.n
        return entry

    def _stop(self) -> NoReturn:
        """Others have written to the ledger, or it is another one."""
        if self._won and ledger.rebuilt_at(self._sink, self._shard) > self._won:
            self._won = 0
            raise TablesRebuilt(f"the tables of shard {self._shard} were rebuilt")
        self._lost = f"shard {self._shard} has another writer, who wrote after entry {self._won} of the ledger"
        raise AnotherWriter(self._lost)

    def _await_silence(self) -> None:
        deadline = time.monotonic() + self._patience_s
        while self._sink.unfinished(self._label):
            if time.monotonic() > deadline:
                raise SinkUnavailable(f"statements of an earlier connection still run for shard {self._shard}")
            time.sleep(_POLL_S)
