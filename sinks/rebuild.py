"""Fresh tables beside the live ones, to be filled from the log and swapped in.

In: a database, the journal offset of each shard from which its rows are to be written anew. Out: a writer per shard
over fresh tables, and then these as the live ones. Never: a change of a live table before the swap.

What lies before those offsets is copied by whole blocks, roll-ups and ledger entries with it. The fresh ledger goes
on far above every number of the live one, so that a writer of the old tables finds at its next append that it is not
the newest any more, takes the shard over anew, and goes on from where the fresh ledger ends (docs/decisions/0009).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping

from sinks import audit, ledger
from sinks.batches import BlockSize
from sinks.ledger import Entry, State
from sinks.migrations import runner
from sinks.sink import Database
from sinks.statements import literal
from sinks.swap import drop, fresh_name, swap
from sinks.writer import BlockWriter

_FAR = 1 << 32
"""More than a ledger grows while tables are rebuilt; with a random part, so that two rebuilds never meet."""


class NotWhole(Exception):
    """The fresh tables do not hold what their ledger says: our own fault, or the server's; they are not swapped in."""


def whole_blocks(live: Database, shard: int, start: int, *, upwards: bool = False) -> int:
    """The offset nearest to `start`, at or below it, else above, at which no block of the live tables is cut in two."""
    cut = f"first_offset < {start} AND last_offset >= {start}"
    asked = f"SELECT count(), min(first_offset), max(last_offset) FROM {live.name}.{ledger.TABLE}"
    found, first, last = live.query(f"{asked} WHERE {_done(shard)} AND {cut}").rows[0]
    if not found:
        return start
    return int(last) + 1 if upwards else int(first)


def kept_blocks(live: Database, shard: int, start: int) -> int:
    """How many blocks of the live tables lie before an offset."""
    sql = f"SELECT uniqExact(block) FROM {live.name}.{ledger.TABLE} WHERE {_done(shard)} AND last_offset < {start}"
    return int(live.query(sql).rows[0][0])


def shards(live: Database) -> list[int]:
    """The shards of which the live tables hold something."""
    return [int(row[0]) for row in live.query(f"SELECT DISTINCT shard FROM {live.name}.{ledger.TABLE}").rows]


class Rebuild:
    """One rebuild. `begin`, write, `swap`; or `abandon` at any time before the swap."""

    def __init__(self, live: Database) -> None:
        self.id = secrets.token_hex(4)
        self._live = live
        self._fresh = live.at(fresh_name(live, self.id))

    def begin(self, starts: Mapping[int, int]) -> None:
        """Makes the tables, and copies what lies before these offsets by shard.

        Raises ValueError for an offset that cuts a block in two (see `whole_blocks`).
        """
        runner.apply(self._fresh)
        for shard, start in sorted(starts.items()):
            if whole_blocks(self._live, shard, start) != start:
                raise ValueError(f"offset {start} of shard {shard} lies inside a block")
            self._keep(shard, start)
            self._seed(shard, start)

    def writer(self, shard: int, size: BlockSize | None = None) -> BlockWriter:
        """A writer of this shard's fresh rows."""
        return BlockWriter(self._fresh, shard, size=size, label=f"siyu-rebuild-{self.id}")

    def check(self) -> None:
        """Raises NotWhole where the fresh tables hold something else than their ledger says."""
        wrong = list(audit.differences(self._fresh, self._fresh.name, settled=True))
        if wrong:
            raise NotWhole(f"the rebuilt tables are not as they were written: {wrong[0]}")

    def swap(self) -> None:
        """Puts the fresh tables into the place of the live ones; `swap.clear` drops those.

        Raises as `swap.swap`.
        """
        swap(self._live, self.id)

    def abandon(self) -> None:
        """Drops the fresh tables."""
        drop(self._live, self._fresh.name)

    def close(self) -> None:
        """Closes its own connection."""
        self._fresh.close()

    def _keep(self, shard: int, start: int) -> None:
        blocks = f"SELECT block FROM {self._live.name}.{ledger.TABLE} WHERE {_done(shard)} AND last_offset < {start}"
        for table in (*audit.block_tables(self._live, self._fresh.name), ledger.TABLE):
            columns = ", ".join(self._columns(table))
            chosen = f"FROM {self._live.name}.{table} WHERE shard = {shard} AND block IN ({blocks})"
            self._live.execute(f"INSERT INTO {self._fresh.name}.{table} ({columns}) SELECT {columns} {chosen}")

    def _columns(self, table: str) -> list[str]:
        """Those that both have."""
        asked = "SELECT name FROM system.columns WHERE database = %(database)s AND table = %(table)s"
        live, fresh = (
            [str(row[0]) for row in self._live.query(asked, {"database": name, "table": table}).rows]
            for name in (self._live.name, self._fresh.name)
        )
        return [column for column in fresh if column in live]

    def _seed(self, shard: int, start: int) -> None:
        newest = ledger.newest(self._live, shard)
        kept = ledger.newest(self._fresh, shard)
        far = (newest.n if newest else 0) + _FAR + secrets.randbelow(_FAR)
        now_ms = time.time_ns() // 1_000_000
        seed = Entry(shard, far, 0, State.REBUILT, 0, 0, start, "{}", f"rebuild {self.id}", now_ms)
        ledger.append(self._fresh, seed, kept.n if kept else 0, f"siyu-rebuild-{self.id}-{shard}-")


def _done(shard: int) -> str:
    return f"shard = {shard} AND state = {literal(State.DONE)}"
