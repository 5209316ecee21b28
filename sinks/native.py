"""A ClickHouse server over its native protocol: whole columns, any version from 18.16 on.

In: Arrow batches and SQL. Out: rows. Never: the password in a message, a `repr` or a log; a retry, which is the
writer's matter, since only it knows what a lost answer means.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa
from clickhouse_driver import Client, errors

from sinks import statements
from sinks.sink import DATABASE, Answer, Guard, SinkUnavailable, Where, Why

T = TypeVar("T")

# The connection is of no more use, and what became of the statement is open.
_BROKEN = (
    errors.NetworkError,
    errors.SocketTimeoutError,
    errors.UnexpectedPacketFromServerError,
    errors.UnknownPacketFromServerError,
    errors.PartiallyConsumedQueryError,
    OSError,
    EOFError,
)

_SILENT = (errors.SocketTimeoutError, TimeoutError)

# An insert is done when the call returns, is never taken for an earlier one, and may touch any number of months.
_INSERTING: dict[str, Any] = {"insert_deduplicate": 0, "strings_as_bytes": True}
_NEWER: dict[str, Any] = {"max_partitions_per_insert_block": 0}
_ASYNC: dict[str, Any] = {"async_insert": 0}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is and who we are; `ca` is a file of trusted certificates, the system's where empty.

    `answer_within_s` bounds the silence in one statement, not its length: the server reports progress.
    """

    host: str
    port: int = 9000
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False
    ca: str = ""
    connect_within_s: float = 5.0
    answer_within_s: float = 30.0


class NativeSink:
    """`Database` over one connection, made at the first statement and again after it broke."""

    def __init__(self, address: Address, name: str = DATABASE) -> None:
        self.name = name
        self._address = address
        self._client = _client(address)
        self._version: tuple[int, ...] = ()

    @property
    def version(self) -> tuple[int, ...]:
        """See `Database.version`; asks the server once."""
        if not self._version:
            self._version = statements.parse_version(str(self.query("SELECT version()").rows[0][0]))
        return self._version

    def at(self, name: str) -> NativeSink:
        """See `Database.at`."""
        return NativeSink(self._address, name)

    def execute(self, sql: str, label: str = "") -> None:
        """See `Database.execute`."""
        self._run(sql, label)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """See `Database.query`."""
        rendered = statements.render(sql, parameters)
        result: Any = self._guarded(lambda: self._client.execute(rendered, with_column_types=True))
        rows, columns = result or ([], [])
        return Answer(tuple(name for name, _ in columns), tuple(tuple(map(statements.plain, row)) for row in rows))

    def insert(self, table: str, batch: pa.RecordBatch, label: str = "", guard: Guard | None = None) -> None:
        """See `Sink.insert`."""
        if not batch.num_rows:
            return
        target, columns = f"{self.name}.{table}", ", ".join(batch.schema.names)
        if guard is None:
            self._send(target, batch, label)
        else:
            self._insert_staged(target, columns, batch, label, statements.guarded(self, guard))

    def _insert_staged(self, target: str, columns: str, batch: pa.RecordBatch, label: str, holds: str) -> None:
        """Over a table that lives as long as this connection.

        So the rows have travelled before the server looks whether the guard holds; the statement that looks needs
        nothing more of us, and ends soon even where we are stopped in the middle of it.
        """
        stage = f"siyu_stage_{uuid.uuid4().hex}"
        try:
            self._run(f"CREATE TEMPORARY TABLE {stage} AS SELECT {columns} FROM {target} WHERE 0")
            self._send(stage, batch, "")
            self._run(f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {stage} WHERE {holds}", label)
            self._run(f"DROP TABLE {stage}")
        except ValueError as error:
            self._client.disconnect()
            if stage in str(error):  # the driver connects again without a word
                raise SinkUnavailable(f"{self._place}: the connection broke in the middle of an insert") from error
            raise

    def _send(self, target: str, batch: pa.RecordBatch, label: str) -> None:
        columns = [_values(column) for column in batch.columns]
        sql = f"INSERT INTO {target} ({', '.join(batch.schema.names)}) VALUES"
        options = {**self._labelled(label), "settings": self._insert_settings(), "columnar": True}
        self._guarded(lambda: self._client.execute(sql, columns, **options))

    def _run(self, sql: str, label: str = "") -> None:
        options = {**self._labelled(label), "settings": self._insert_settings()}
        self._guarded(lambda: self._client.execute(sql, **options))

    def _labelled(self, label: str) -> dict[str, Any]:
        return {"query_id": f"{label}{uuid.uuid4()}"}

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
        """See `Sink.unfinished`; a statement stands in this list before the server looks at its guard."""
        chosen = f"substring(query_id, 1, {len(label)}) = {statements.literal(label)}"
        return int(self.query(f"SELECT count() FROM system.processes WHERE {chosen}").rows[0][0])

    def close(self) -> None:
        """See `Sink.close`."""
        self._client.disconnect()

    @property
    def _place(self) -> str:
        return f"ClickHouse at {self._address.host}:{self._address.port}"

    def _insert_settings(self) -> dict[str, Any]:
        newer = _NEWER if self.version >= (20, 1) else {}
        asynchronous = _ASYNC if self.version >= (21, 12) else {}
        return {**_INSERTING, **newer, **asynchronous}

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except errors.ServerException as error:
            failed = statements.failure(str(error.message), error.code)
            if isinstance(failed, SinkUnavailable):
                self._client.disconnect()  # a session keeps the rights and limits that it began with
            raise failed from error
        except _BROKEN as error:
            self._client.disconnect()
            why = Why.SLOW if isinstance(error, _SILENT) else Why.AWAY
            raise SinkUnavailable(f"{self._place}: {type(error).__name__} {error}".strip(), why) from error
        except errors.Error as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def _client(address: Address) -> Any:
    return Client(
        address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        secure=address.secure,
        verify=True,
        ca_certs=address.ca or None,
        connect_timeout=address.connect_within_s,
        sync_request_timeout=address.connect_within_s,
        send_receive_timeout=address.answer_within_s,
        client_name="siyu-streams",
    )


def _values(column: pa.Array) -> list[Any]:
    """A column as a Python list, its texts as UTF-8: Arrow holds them so, and the server wants them so."""
    plain = column.cast(pa.binary()) if pa.types.is_string(column.type) else column
    return list(plain.to_pylist())
