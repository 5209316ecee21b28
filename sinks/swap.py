"""Fresh tables into the place of the live ones, table by table, and to the end whatever happens.

In: a database `siyu`, and `siyu_fresh_<id>` with tables of the same names. Out: the fresh ones as the live ones.
Never: a live table dropped before all fresh ones stand in its place; a question which of two full tables is right.

The ledger goes first, to `siyu_old_<id>`; then each table goes and its fresh one comes, in one RENAME; the fresh ledger
comes last. So wherever it is cut off there is no ledger, no writer can write, and `finish` finds how far it came. Not
one RENAME for all: an old server (18.16) locks all tables for it one after the other, and a query that holds one of
them and comes to another later waits for ever, and with it everybody (docs/decisions/0009).

That server also moves a table's folder before it writes down the new name. Killed between the two, it starts with an
empty table under the old name and the rows under none: `finish` drops the empty one, or attaches the rows.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum, auto

from sinks import audit
from sinks.ledger import TABLE as LEDGER
from sinks.sink import Database, SinkUnavailable

SWAP_PATIENCE_S = 600.0
QUIET_S = 5.0
_FINISH_PATIENCE_S = 10.0
_AGAIN_S = 0.5
_LABEL = "siyu-swap-"


class _Stands(Enum):
    UNTOUCHED = auto()
    HALF = auto()
    SWAPPED = auto()


class SwapRefused(Exception):
    """Tables stand in a way that no swap leaves behind, or others are at it; the message says what to do."""


def fresh_name(live: Database, swap_id: str) -> str:
    """The ClickHouse database of the tables that are to come in."""
    return f"{live.name}_fresh_{swap_id}"


def swap(live: Database, swap_id: str, patience_s: float = SWAP_PATIENCE_S) -> None:
    """Swaps, and comes back when it is done: a RENAME waits for the queries that are reading.

    Raises SinkUnavailable when it took too long: then it may still come about, or `finish` does it.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            if _one_try(live, swap_id):
                return
        except (SinkUnavailable, ValueError):  # not heard of, or half done, or done by an earlier try: look again
            if time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_S)


def finish(live: Database, quiet_s: float = QUIET_S) -> bool:
    """Brings a swap that was cut off to its end; whether there was one. To be called before the live tables are used.

    Two that finish one swap could drop each other's tables: as long as anything moves, it is left to whoever moves it.
    Raises SinkUnavailable, SwapRefused.
    """
    half = [swap_id for swap_id in _ids(live) if _stands(live, swap_id) is _Stands.HALF]
    for swap_id in half:
        _await_quiet(live, swap_id, quiet_s)
        swap(live, swap_id, _FINISH_PATIENCE_S)
    return bool(half)


def _await_quiet(live: Database, swap_id: str, quiet_s: float) -> None:
    """Comes back when no name has changed for so long, and no statement of a swap runs."""
    names = ", ".join(f"'{name}'" for name in (live.name, fresh_name(live, swap_id), _old_name(live, swap_id)))
    asked = f"SELECT database, name FROM system.tables WHERE database IN ({names}) ORDER BY database, name"
    seen = None
    while (now := live.query(asked).rows) != seen or live.unfinished(_LABEL):
        seen = now
        time.sleep(quiet_s)


def clear(live: Database) -> None:
    """Drops what earlier rebuilds left behind, done or not. Raises SinkUnavailable, SwapRefused, ValueError."""
    if live.unfinished(_LABEL):
        raise SwapRefused("another replay is swapping its tables in: try again when it has ended")
    for swap_id in _ids(live):
        for name in (fresh_name(live, swap_id), _old_name(live, swap_id)):
            drop(live, name)


def drop(live: Database, name: str) -> None:
    """Drops a ClickHouse database and its tables. A folder that a crash left in it stays behind."""
    for (table,) in live.query(f"SELECT name FROM system.tables WHERE database = '{name}'").rows:
        live.execute(f"DROP TABLE IF EXISTS {name}.{table}")  # views too: 18.16 has no DROP VIEW
    with suppress(ValueError):
        live.execute(f"DROP DATABASE IF EXISTS {name}")


def _one_try(live: Database, swap_id: str) -> bool:
    """Whether it is done."""
    if _stands(live, swap_id) is not _Stands.SWAPPED:
        live.execute(f"CREATE DATABASE IF NOT EXISTS {_old_name(live, swap_id)}")
        _finish(live, swap_id)
    return _stands(live, swap_id) is _Stands.SWAPPED


def _stands(live: Database, swap_id: str) -> _Stands:
    if not _exists(live, fresh_name(live, swap_id), LEDGER):
        return _Stands.SWAPPED
    old = _old_name(live, swap_id)
    begun = bool(live.query(f"SELECT count() FROM system.databases WHERE name = '{old}'").rows[0][0])
    untouched = _exists(live, live.name, LEDGER) and _has_rows(live, live.name, LEDGER)
    return _Stands.HALF if begun and not untouched else _Stands.UNTOUCHED


def _finish(live: Database, swap_id: str) -> None:
    fresh, old = fresh_name(live, swap_id), _old_name(live, swap_id)
    tables = audit.block_tables(live, fresh)
    _move_out(live, LEDGER, old)
    for table in tables:
        _replace(live, table, fresh, old)
    _move_in(live, LEDGER, fresh)


def _replace(live: Database, table: str, fresh: str, old: str) -> None:
    if _is_in(live, table, fresh, old):
        live.execute(f"DROP TABLE {fresh}.{table}")
        return
    if _exists(live, live.name, table) and not _exists(live, old, table):
        both = f"{live.name}.{table} TO {old}.{table}, {fresh}.{table} TO {live.name}.{table}"
        if _renamed(live, both):
            return
    _move_out(live, table, old)
    _move_in(live, table, fresh)


def _is_in(live: Database, table: str, fresh: str, old: str) -> bool:
    """Whether the fresh one came in, and only its old name is left."""
    both = _exists(live, live.name, table) and _exists(live, old, table)
    return both and not _has_rows(live, fresh, table)


def _move_out(live: Database, table: str, old: str) -> None:
    if not _exists(live, live.name, table):
        return
    if _exists(live, old, table) or not _renamed(live, f"{live.name}.{table} TO {old}.{table}"):
        _drop_shell(live, live.name, table)


def _move_in(live: Database, table: str, fresh: str) -> None:
    if _renamed(live, f"{fresh}.{table} TO {live.name}.{table}"):
        return
    made = str(live.query(f"SHOW CREATE TABLE {fresh}.{table}").rows[0][0])
    _drop_shell(live, fresh, table)
    live.execute(made.replace(f"CREATE TABLE {fresh}.", f"ATTACH TABLE {live.name}.", 1))


def _renamed(live: Database, steps: str) -> bool:
    """False where the rows have moved already, and the name has not."""
    try:
        live.execute(f"RENAME TABLE {steps}", f"{_LABEL}{uuid.uuid4()}-")
    except ValueError as error:
        if "already exists" not in str(error):
            raise
        return False
    return True


def _drop_shell(live: Database, name: str, table: str) -> None:
    if _has_rows(live, name, table):
        said = f"{name}.{table} has rows, and its place is taken: restart the server, then start this again"
        raise SwapRefused(said)
    live.execute(f"DROP TABLE {name}.{table}")


def _exists(live: Database, name: str, table: str) -> bool:
    asked = f"SELECT count() FROM system.tables WHERE database = '{name}' AND name = '{table}'"
    return bool(live.query(asked).rows[0][0])


def _has_rows(live: Database, name: str, table: str) -> bool:
    return bool(live.query(f"SELECT count() FROM {name}.{table}").rows[0][0])


def _ids(live: Database) -> Sequence[str]:
    prefixes = (fresh_name(live, ""), _old_name(live, ""))
    names = [str(row[0]) for row in live.query("SELECT name FROM system.databases").rows]
    return sorted({name.removeprefix(prefix) for name in names for prefix in prefixes if name.startswith(prefix)})


def _old_name(live: Database, swap_id: str) -> str:
    return f"{live.name}_old_{swap_id}"
