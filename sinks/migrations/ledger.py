"""Which migrations a database has: a table of version, name and checksum.

In: a `Database`. Out: the versions applied, with their checksums. Never: a migration's statements.
"""

from __future__ import annotations

import time

import pyarrow as pa

from sinks.sink import Database

TABLE = "migrations"

_SCHEMA = pa.schema(
    [("version", pa.int32()), ("name", pa.string()), ("checksum", pa.string()), ("applied_ms", pa.int64())]
)

_COLUMNS = """(version Int32, name String, checksum String, applied_ms Int64)
ENGINE = MergeTree ORDER BY version"""


def prepare(database: Database) -> None:
    """Makes the database and the ledger's table where they are missing."""
    database.execute(f"CREATE DATABASE IF NOT EXISTS {database.name}")
    database.execute(f"CREATE TABLE IF NOT EXISTS {database.name}.{TABLE} {_COLUMNS}")


def applied(database: Database) -> dict[int, str]:
    """The checksum of each version applied; empty, and nothing made, in a database that we never saw."""
    where = {"database": database.name, "table": TABLE}
    present = "SELECT count() FROM system.tables WHERE database = %(database)s AND name = %(table)s"
    if not database.query(present, where).rows[0][0]:
        return {}
    rows = database.query(f"SELECT version, checksum FROM {database.name}.{TABLE} ORDER BY version, applied_ms").rows
    return {int(version): str(checksum) for version, checksum in rows}


def note(database: Database, version: int, name: str, checksum: str) -> None:
    """Writes down that a migration's statements have all been done."""
    row = {"version": version, "name": name, "checksum": checksum, "applied_ms": time.time_ns() // 1_000_000}
    database.insert(TABLE, pa.RecordBatch.from_pylist([row], schema=_SCHEMA))
