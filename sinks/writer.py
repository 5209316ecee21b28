"""Facts into a sink exactly once: the writer of one shard's blocks.

In: resolved frames, at least once and in journal order. Out: every row once. Never: Kafka, a retry, a partial block
left behind for long: the one block in doubt is settled before anything else is written.

A block is begun (the ledger says so, with the rows it will bring), inserted table by table, done. Whoever finds it
begun and not done counts: all rows there, it is noted done; else they are removed and the block noted so, and its
frames come again from the journal. The proof is the ledger; the server's own deduplication is not used.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from schemas.frames import Resolved
from sinks import ledger
from sinks.batches import Block, BlockSize, cut
from sinks.ledger import Entry, State
from sinks.sink import Sink, SinkUnavailable

_POLL_S = 0.05


class AnotherWriter(Exception):
    """The ledger shows entries that aren't ours: the shard has a new owner, and this writer is to stop for good."""


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

    One writer a shard. A second one that takes over claims the shard in the ledger first; the first one sees that
    when it begins its next block, or ends the one that it is in, and raises AnotherWriter from then on.
    Not thread-safe.
    """

    def __init__(
        self,
        sink: Sink,
        shard: int,
        *,
        size: BlockSize | None = None,
        patience_s: float = 30.0,
        now_ms: Callable[[], int] = _now_ms,
    ) -> None:
        self._sink = sink
        self._shard = shard
        self._size = size or BlockSize()
        self._patience_s = patience_s
        self._now_ms = now_ms
        self._owner = uuid.uuid4().hex
        self._label = f"siyu-sink-{shard}-"
        self._newest: Entry | None = None
        self._lost = ""

    def position(self) -> int:
        """The next journal offset to write; 0 before the first block. Settles first, and raises as `settle`."""
        return self._settled().position

    def write(self, frames: Iterable[Resolved]) -> Written:
        """Writes what is new among the frames, as blocks; returns when all of it stands.

        Raises SinkUnavailable, AnotherWriter, and ValueError for frames that are not of this shard or schema.
        """
        blocks = 0
        tables: Counter[str] = Counter()
        for block in cut(frames, self._shard, self.position(), self._size):
            tables += Counter(self._write_block(block))
            blocks += 1
        return Written(blocks, tables.total(), tables)

    def settle(self) -> State:
        """Takes the shard over: claims it in the ledger, and decides on the block in doubt, if there is one.

        Returns DONE or REMOVED for that block, OWNED where none was in doubt. Raises SinkUnavailable, AnotherWriter.
        """
        return State(self._take_over().state)

    def _settled(self) -> Entry:
        return self._take_over() if self._newest is None else self._newest

    def _take_over(self) -> Entry:
        if self._lost:
            raise AnotherWriter(self._lost)
        self._newest = None
        self._await_silence()
        claim = self._note(self._claim())
        self._assert_alone(claim)
        doubted = ledger.in_doubt(self._sink, self._shard)
        self._newest = self._decide(doubted, claim) if doubted else claim
        return self._newest

    def _write_block(self, block: Block) -> Mapping[str, int]:
        before = self._settled()
        tables = block.tables(before.n + 1)
        self._newest = None  # until the block is done it is in doubt, whatever happens
        begun = self._note(self._begun(block, tables, before))
        self._assert_alone(begun)
        for name, batch in tables.items():
            self._sink.insert(name, batch, self._label)
        self._assert_unfollowed(begun)
        self._newest = self._note(self._next(begun, State.DONE, position=begun.last_offset + 1))
        return begun.expected

    def _decide(self, doubted: Entry, claim: Entry) -> Entry:
        judged = replace(doubted, n=claim.n, position=claim.position)
        if self._is_whole(doubted):
            return self._note(self._next(judged, State.DONE, position=doubted.last_offset + 1))
        self._remove(doubted)
        verdict = self._note(self._next(judged, State.REMOVED))
        self._remove(doubted)  # what a predecessor inserted before it could see the verdict
        return verdict

    def _is_whole(self, block: Entry) -> bool:
        chosen = {"shard": block.shard, "block": block.block}
        return all(self._sink.count(table, chosen) == rows for table, rows in block.expected.items())

    def _remove(self, block: Entry) -> None:
        for table in block.expected:
            self._sink.remove(table, {"shard": block.shard, "block": block.block})

    def _claim(self) -> Entry:
        newest = ledger.newest(self._sink, self._shard)
        if newest is None:
            return Entry(self._shard, 1, 0, State.OWNED, 0, 0, 0, "{}", self._owner, self._now_ms())
        return self._next(replace(newest, block=0, rows="{}"), State.OWNED)

    def _begun(self, block: Block, tables: Mapping[str, pa.RecordBatch], before: Entry) -> Entry:
        begun = self._next(before, State.BEGUN)
        first, last = block.first_offset, block.last_offset
        return replace(begun, block=begun.n, first_offset=first, last_offset=last, rows=ledger.rows_text(tables))

    def _next(self, entry: Entry, state: State, position: int | None = None) -> Entry:
        at = entry.position if position is None else position
        noted = self._now_ms()
        return replace(entry, n=entry.n + 1, state=state, position=at, owner=self._owner, noted_ms=noted)

    def _note(self, entry: Entry) -> Entry:
        ledger.note(self._sink, entry, self._label)
        return entry

    def _assert_alone(self, entry: Entry) -> None:
        if not ledger.is_alone(self._sink, entry):
            self._stop(entry)

    def _assert_unfollowed(self, begun: Entry) -> None:
        """A successor decides on our block; where it has decided before we ended, what came later is ours to remove."""
        if ledger.is_followed(self._sink, begun):
            if ledger.has_verdict(self._sink, begun, State.REMOVED):
                self._remove(begun)
            self._stop(begun)

    def _stop(self, entry: Entry) -> None:
        self._lost = f"shard {self._shard} has another writer, who wrote after entry {entry.n - 1} of the ledger"
        raise AnotherWriter(self._lost)

    def _await_silence(self) -> None:
        deadline = time.monotonic() + self._patience_s
        while self._sink.unfinished(self._label):
            if time.monotonic() > deadline:
                raise SinkUnavailable(f"statements of an earlier connection still run for shard {self._shard}")
            time.sleep(_POLL_S)
