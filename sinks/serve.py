"""Questions to the process that owns the database, over a local socket that only its user can open.

In: one JSON object a line, {"sql": ...}, or {NAME: ...} for a command that the owner offers. Out: one JSON object a
line: {"columns": ..., "rows": ...} or {"error": ...}; of a command what it tells, line by line, then {"end": true}.
Never: a statement that changes anything; a network port.

For an embedded database give the server a second, read-only opening (`EmbeddedSink(folder, read_only=True)`): the
engine then refuses changes itself, and questions don't wait for inserts.
"""

from __future__ import annotations

import json
import os
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from sinks.sink import Answer, SinkUnavailable

_READS = frozenset(["SELECT", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "WITH", "EXISTS"])

# Texts, quoted names and comments, so that what is left is the statement's own words.
_QUOTED = re.compile(
    r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|`(?:[^`\\]|\\.)*`|--[^\n]*|/\*.*?\*/|#[ !][^\n]*", re.S
)
_WRITES = re.compile(r"\bINTO\s+OUTFILE\b|\bINSERT\s+INTO\b", re.IGNORECASE)

_LONGEST_SQL = 1024 * 1024


def refuse_changes(sql: str) -> None:
    """Raises ValueError unless this is one statement that only reads. The engine's own read-only mode is the proof."""
    words = _QUOTED.sub(" ", sql).strip().rstrip(";").strip()
    first = re.match(r"[(\s]*(\w+)", words)
    if first is None or first.group(1).upper() not in _READS:
        raise ValueError("only SELECT, WITH, SHOW, DESCRIBE, EXISTS and EXPLAIN are answered here")
    if ";" in words:
        raise ValueError("one statement at a time")
    if _WRITES.search(words):
        raise ValueError("a query here must not write, to a table or to a file")


class Asked(Protocol):
    """What answers questions."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """See `Database.query`."""


Command = Callable[[Any], Iterator[Mapping[str, Any]]]
"""From the argument that came as JSON to what it tells; may raise ValueError and SinkUnavailable.

Closed early where whoever asked has gone.
"""


@contextmanager
def query_server(database: Asked, path: Path, commands: Mapping[str, Command] | None = None) -> Iterator[None]:
    """Answers questions on the socket `path` (mode 0600) until the block ends, then removes it.

    One question at a time goes to the database; commands run beside them. Raises SinkUnavailable where another process
    serves there, and ValueError for a path that is too long for a socket (about 100 bytes).
    """
    _clear(path)
    server = _listen(path)
    server.database, server.lock, server.commands = database, threading.Lock(), commands or {}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="queries", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        path.unlink(missing_ok=True)


def ask(path: Path, sql: str, within_s: float = 150.0) -> Answer:
    """The answer of whoever serves at `path`.

    Raises SinkUnavailable where nobody does or no answer came in time, ValueError with the engine's words for a
    question that it refused.
    """
    try:
        reply = _exchange(path, {"sql": sql}, within_s)
    except OSError as error:
        raise SinkUnavailable(f"nobody answers at {path}: {error}") from error
    _checked(reply)
    return Answer(tuple(reply["columns"]), tuple(tuple(row) for row in reply["rows"]))


def command(path: Path, name: str, argument: Any) -> Generator[dict[str, Any]]:
    """What the owner at `path` tells while it does this, however long it takes; closed early, it is told to stop.

    Raises SinkUnavailable where nobody serves there or the owner ends, ValueError where it can't be done.
    """
    try:
        with _connected(path) as connection, connection.makefile("rb") as lines:
            connection.sendall(json.dumps({name: argument}).encode() + b"\n")
            for line in lines:
                reply: dict[str, Any] = json.loads(line)
                if "end" in reply:
                    return
                yield _checked(reply)
    except OSError as error:
        raise SinkUnavailable(f"nobody answers at {path}: {error}") from error
    raise SinkUnavailable(f"the process that answered at {path} has ended")


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    database: Asked
    lock: threading.Lock
    commands: Mapping[str, Command]


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Lines in, lines out, until the other side hangs up."""
        with suppress(OSError):
            while line := self.rfile.readline(_LONGEST_SQL):
                with closing(_replies(self.server, line)) as replies:
                    for reply in replies:
                        self.wfile.write(json.dumps(reply, ensure_ascii=False).encode() + b"\n")


def _replies(server: _Server, line: bytes) -> Generator[Mapping[str, Any]]:
    try:
        request = json.loads(line)
        name = next(iter(request), "") if isinstance(request, dict) else ""
        if name in server.commands:
            yield from _done(server.commands[name](request[name]))
        else:
            yield _answer(server, request)
    except SinkUnavailable as error:
        yield {"error": str(error), "unavailable": True}
    except ValueError as error:
        yield {"error": str(error)}


def _done(told: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    yield from told
    yield {"end": True}


def _answer(server: _Server, request: Any) -> dict[str, Any]:
    sql = request.get("sql") if isinstance(request, dict) else None
    if not isinstance(sql, str):
        raise ValueError('a request is {"sql": "..."} on one line')
    refuse_changes(sql)
    with server.lock:
        answer = server.database.query(sql)
    return {"columns": answer.columns, "rows": answer.rows}


def _listen(path: Path) -> _Server:
    """The socket is never open to others, not even between bind and chmod."""
    before = os.umask(0o177)
    try:
        return _Server(str(path), _Handler)
    except OSError as error:
        raise ValueError(f"no socket can be made at {path}: {error}") from error
    finally:
        os.umask(before)


def _clear(path: Path) -> None:
    """Removes the socket of a process that is gone."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2.0)
        if probe.connect_ex(str(path)) == 0:
            raise SinkUnavailable(f"another process answers at {path} already")
    path.unlink(missing_ok=True)


def _exchange(path: Path, request: dict[str, str], within_s: float) -> dict[str, Any]:
    with _connected(path) as connection:
        connection.settimeout(within_s)
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("rb") as lines:
            line = lines.readline()
    if not line:
        raise ConnectionError("the connection was closed without an answer")
    reply: dict[str, Any] = json.loads(line)
    return reply


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except BaseException:
        connection.close()
        raise
    return connection


def _checked(reply: dict[str, Any]) -> dict[str, Any]:
    if "error" in reply:
        raise (SinkUnavailable if reply.get("unavailable") else ValueError)(reply["error"])
    return reply
