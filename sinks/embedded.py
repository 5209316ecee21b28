"""The embedded ClickHouse (chDB): today's engine in this process, on a folder of ours.

In: Arrow batches and SQL. Out: rows. Never: a server, a port; a second process on the same folder.

chDB holds one folder per process at a time, opened once or several times; a read-only second opening runs its
queries beside the first one's inserts. So whatever changes a table passes through here: a guard is looked at once, and
what it saw holds until something else is written to its table.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pyarrow as pa
from chdb.session import Session

from sinks import statements
from sinks.sink import DATABASE, Answer, Guard, SinkUnavailable, Where

_FORMAT = "JSONCompactEachRowWithNamesAndTypes"

# An insert is done when the call returns, is never taken for an earlier one, and may touch any number of months.
_WRITING = {"async_insert": 0, "insert_deduplicate": 0, "max_partitions_per_insert_block": 0}
# A block's inserts are small and come one after the other: on several threads each costs a third more CPU.
_ALONE = {"max_threads": 1, "max_insert_threads": 1}
# 64-bit numbers stay numbers; an operator's query may not take the writer's memory or time.
_READING = {"output_format_json_quote_64bit_integers": 0, "output_format_json_quote_denormals": 0}
_LIMITS = {"max_execution_time": 120, "max_result_bytes": 268_435_456, "readonly": 1}

_WRITE = threading.Lock()
"""Nothing is written between the look at a guard and the rows that it lets in."""
_GREATEST: defaultdict[str, dict[str, int]] = defaultdict(dict)
"""What guards saw, by table and question. A look takes as long as an insert of few rows."""


class EmbeddedSink:
    """`Database` over chDB in `folder`, which is made when it is not there.

    With `read_only` the engine itself refuses every change, and bounds a query's time and result.
    Raises SinkUnavailable where another process, or this one on another folder, holds chDB.
    """

    def __init__(self, folder: Path | str, *, read_only: bool = False, name: str = DATABASE) -> None:
        self.name = name
        self._folder = Path(folder)
        self._session: Any = _open(self._folder)
        self._set({**_WRITING, **_READING, **(_LIMITS if read_only else _ALONE)})
        self._version = statements.parse_version(str(self.query("SELECT version()").rows[0][0]))

    @property
    def version(self) -> tuple[int, ...]:
        """See `Database.version`."""
        return self._version

    def at(self, name: str) -> EmbeddedSink:
        """See `Database.at`."""
        return EmbeddedSink(self._folder, name=name)

    def execute(self, sql: str, label: str = "") -> None:
        """See `Database.execute`."""
        with _WRITE:
            _GREATEST.clear()
            self._run(sql)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """See `Database.query`."""
        lines = self._run(statements.render(sql, parameters)).decode(errors="replace").split("\n")
        if len(lines) < 2:
            return Answer((), ())
        rows = tuple(tuple(json.loads(line)) for line in lines[2:] if line)
        return Answer(tuple(json.loads(lines[0])), rows)

    def insert(self, table: str, batch: pa.RecordBatch, label: str = "", guard: Guard | None = None) -> None:
        """See `Sink.insert`; the rows travel as a file without a name, which costs half of a Python table function."""
        with _WRITE:
            if guard is None or self._holds(guard):
                _GREATEST.pop(f"{self.name}.{table}", None)
                self._insert(table, batch)

    def _holds(self, guard: Guard) -> bool:
        seen, question = _GREATEST[f"{self.name}.{guard.table}"], statements.greatest(self, guard)
        if question not in seen:
            seen[question] = int(self.query(question).rows[0][0])
        return seen[question] == guard.value

    def _insert(self, table: str, batch: pa.RecordBatch) -> None:
        columns = ", ".join(batch.schema.names)
        with TemporaryFile(dir=self._folder) as rows:
            with pa.ipc.new_stream(rows, batch.schema) as stream:
                stream.write_batch(batch)
            rows.seek(0)
            given = f"FROM INFILE '/dev/fd/{rows.fileno()}' FORMAT ArrowStream"
            self._run(f"INSERT INTO {self.name}.{table} ({columns}) {given}")

    def count(self, table: str, where: Where) -> int:
        """See `Sink.count`."""
        return statements.count(self, table, where)

    def last(self, table: str, by: str, where: Where) -> dict[str, Any] | None:
        """See `Sink.last`."""
        return statements.last(self, table, by, where)

    def tally(self, table: str, column: str, where: Where) -> dict[Any, int]:
        """See `Sink.tally`."""
        return statements.tally(self, table, column, where)

    def remove(self, table: str, where: Where) -> None:
        """See `Sink.remove`."""
        statements.remove(self, table, where)

    def unfinished(self, label: str) -> int:
        """The engine died with the process that had sent something, and we send one after the other."""
        return 0

    def close(self) -> None:
        """Lets go of the folder, unless it was opened a second time."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _set(self, settings: Mapping[str, int]) -> None:
        self._run("SET " + ", ".join(f"{name} = {value}" for name, value in settings.items()))

    def _run(self, sql: str) -> bytes:
        if self._session is None:
            raise SinkUnavailable("the embedded database is closed")
        try:
            return bytes(self._session.query(sql, _FORMAT).bytes())
        except RuntimeError as error:
            raise statements.failure(str(error)) from error


def _open(folder: Path) -> Any:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _GREATEST.clear()  # of another folder, maybe
        opened: Any = Session
        return opened(str(folder))
    except (RuntimeError, OSError) as error:
        advice = "another process, or this one on another folder, may hold it"
        raise SinkUnavailable(f"the embedded database in {folder} cannot be opened; {advice}: {error}") from error
