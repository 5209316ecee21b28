"""Do the tables hold what the block ledger says? What exactly-once can't see by itself, this does.

In: a database that answers questions. Out: the blocks that have other rows than noted. Never: a change.

Rows that came or went past the ledger show here: a disk that lost what the server had taken, a hand that deleted, a
cluster behind one address. What erasures took counts as found. The block that each shard began last is left out, since
it may be under way. All rows are counted: the time of a scan of two columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from sinks.erasing import TABLE as ERASED
from sinks.ledger import TABLE, State
from sinks.sink import DATABASE, Answer
from sinks.statements import literal

_MOST = 100
_NOT_COUNTED = {ERASED, "deadletters_raw"}
"""Refused bytes belong to nobody whom an erasure could name; a brand deletes them by their age."""


class Asked(Protocol):
    """What answers questions."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """See `Database.query`."""


class Difference(NamedTuple):
    """A block that brought `found` rows to a table, where the ledger says `noted`."""

    table: str
    shard: int
    block: int
    noted: int
    found: int

    def __str__(self) -> str:
        return f"block {self.block} of shard {self.shard} has {self.found} rows in {self.table}, noted are {self.noted}"


def block_tables(database: Asked, name: str = DATABASE) -> list[str]:
    """The tables that are written by blocks, the ledger not among them."""
    columns = f"SELECT table, count() AS both FROM system.columns WHERE database = {literal(name)}"
    marked = database.query(f"{columns} AND name IN ('shard', 'block') GROUP BY table ORDER BY table").rows
    engines = database.query(f"SELECT name, engine FROM system.tables WHERE database = {literal(name)}").rows
    kept = {table for table, engine in engines if str(engine).endswith("MergeTree")}
    return [table for table, both in marked if both == 2 and table in kept and table != TABLE]


def differences(database: Asked, name: str = DATABASE, *, settled: bool = False) -> Iterator[Difference]:
    """At most a hundred blocks of each table that have other rows than the ledger says; none while all is well.

    `settled`: nobody writes, so the newest blocks count too.
    """
    for table in block_tables(database, name):
        if table in _NOT_COUNTED:
            continue
        for row in database.query(_sql(name, table, settled)).rows:
            yield Difference(table, *(int(value) for value in row))


def _sql(name: str, table: str, settled: bool) -> str:
    done, begun = literal(State.DONE), literal(State.BEGUN)
    newest = f"SELECT shard, max(n) FROM {name}.{TABLE} WHERE state = {begun} GROUP BY shard"
    noted = f"visitParamExtractUInt(replaceAll(rows, ' ', ''), {literal(table)})"
    return f"""
SELECT shard, block, max(noted) AS rows_noted, sum(found) AS rows_found
FROM
(
    SELECT shard, block, toUInt64({noted}) AS noted, toUInt64(0) AS found FROM {name}.{TABLE} WHERE state = {done}
    UNION ALL
    SELECT shard, block, toUInt64(0) AS noted, count() AS found FROM {name}.{table} GROUP BY shard, block
    UNION ALL
    SELECT shard, block, toUInt64(0) AS noted, sum(rows) AS found FROM {name}.{ERASED}
    WHERE table_name = {literal(table)} GROUP BY shard, block
)
{"" if settled else f"WHERE (shard, block) NOT IN ({newest})"}
GROUP BY shard, block
HAVING rows_noted != rows_found
ORDER BY shard, block
LIMIT {_MOST}"""
