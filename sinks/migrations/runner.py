"""Brings a database's tables to what this program expects: plan, apply, status.

In: the SQL files of `versions`, a `Database`. Out: what stands and what would be done. Never: a way back; a change
of a file that some database has applied.

A file is `0001_name.sql`: statements that end with `;` at the end of a line, each one harmless when done twice,
because ClickHouse has no transaction around them. `ADD COLUMN` is left out where the column is there: 18.16 has no
`IF NOT EXISTS` for it. A first line `-- needs: 20.1` keeps it from older servers; it is
made up for when the server is newer one day.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

from sinks.migrations import ledger
from sinks.sink import DATABASE, Database
from sinks.statements import parse_version

_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_NAMED = re.compile(rf"\b{DATABASE}\.")
_ADDED = re.compile(rf"ALTER TABLE {DATABASE}\.(\w+) ADD COLUMN (\w+)")
_NEEDS = re.compile(r"--\s*needs:\s*([\d.]+)")


class MigrationChanged(Exception):
    """A file differs from what the database has applied under its number: restore it, and write a new one."""


class State(StrEnum):
    """How a migration stands in a database."""

    APPLIED = "applied"
    PENDING = "pending"
    NEEDS_NEWER = "needs newer"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; `needs` is the least server version, () for any."""

    version: int
    name: str
    sql: str

    @property
    def needs(self) -> tuple[int, ...]:
        found = _NEEDS.match(self.sql)
        return parse_version(found.group(1)) if found else ()

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> tuple[str, ...]:
        """Its statements in order, without comment lines and semicolons."""
        lines = [line for line in self.sql.splitlines() if not line.lstrip().startswith("--")]
        return tuple(part.strip() for part in re.split(r";\s*(?:\n|$)", "\n".join(lines)) if part.strip())


@dataclass(frozen=True, slots=True)
class Step:
    """A migration and how it stands."""

    migration: Migration
    state: State


def discover() -> tuple[Migration, ...]:
    """All migrations of this program, by number. Raises ValueError for two of one number."""
    found = sorted(_files(), key=lambda migration: migration.version)
    numbers = [migration.version for migration in found]
    if len(set(numbers)) != len(numbers):
        raise ValueError("two migrations have one number")
    return tuple(found)


def status(database: Database) -> tuple[Step, ...]:
    """How every migration stands; changes nothing, also in an empty database."""
    applied = ledger.applied(database)
    version = database.version
    return tuple(Step(migration, _state(migration, applied, version)) for migration in discover())


def plan(database: Database) -> tuple[Migration, ...]:
    """What `apply` would do now, in order. Raises MigrationChanged."""
    steps = status(database)
    changed = [step.migration.name for step in steps if step.state is State.CHANGED]
    if changed:
        raise MigrationChanged(f"applied, and changed since: {', '.join(changed)}")
    return tuple(step.migration for step in steps if step.state is State.PENDING)


def apply(database: Database) -> tuple[Migration, ...]:
    """Applies what is pending and gives it back. Raises MigrationChanged before it does anything.

    After an exception the migrations before the failing one stand; calling again goes on.
    """
    pending = plan(database)
    ledger.prepare(database)
    for migration in pending:
        for statement in migration.statements:
            if not _is_there(database, statement):
                database.execute(_NAMED.sub(f"{database.name}.", statement))
        ledger.note(database, migration.version, migration.name, migration.checksum)
    return pending


def _files() -> Iterator[Migration]:
    for entry in resources.files("sinks.migrations.versions").iterdir():
        if named := _NAME.fullmatch(entry.name):
            yield Migration(int(named.group(1)), f"{named.group(1)}_{named.group(2)}", entry.read_text("utf-8"))


def _is_there(database: Database, statement: str) -> bool:
    """Whether the column that it adds is there, from an attempt that was cut off."""
    added = _ADDED.match(statement)
    if added is None:
        return False
    asked = "SELECT count() FROM system.columns WHERE database = %(database)s AND table = %(table)s AND name = %(name)s"
    known = {"database": database.name, "table": added.group(1), "name": added.group(2)}
    return bool(database.query(asked, known).rows[0][0])


def _state(migration: Migration, applied: dict[int, str], version: tuple[int, ...]) -> State:
    checksum = applied.get(migration.version)
    if checksum is not None:
        return State.APPLIED if checksum == migration.checksum else State.CHANGED
    return State.NEEDS_NEWER if version < migration.needs else State.PENDING
