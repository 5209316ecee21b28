"""`siyu query`: one question in SQL to the database, wherever it is.

In: SQL. Out: rows, as a table or as JSON lines. Never: a change; a database made by asking.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

from sinks.serve import ask, refuse_changes
from sinks.sink import Answer, SinkUnavailable
from sinks.urls import open_sink
from streams.cli.arguments import add_json
from streams.cli.failure import Failure
from streams.cli.tables import print_records
from streams.settings import Settings

NAME = "query"
HELP = "SQL to the database, embedded or server"
EXAMPLE = 'siyu query "SELECT rule, count() FROM siyu.triggers GROUP BY rule"'

_EMBEDDED = "chdb://"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The SQL."""
    parser.add_argument("sql", metavar="SQL", help="one statement that reads; - for standard input")
    add_json(parser)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when there is an answer."""
    sql = sys.stdin.read() if arguments.sql == "-" else arguments.sql
    try:
        refuse_changes(sql)
        answer = answer_of(sql, settings)
    except ValueError as error:
        raise Failure(str(error)) from error
    records = (dict(zip(answer.columns, row, strict=True)) for row in answer.rows)
    if not arguments.json and len(set(answer.columns)) < len(answer.columns):
        raise Failure("two columns have one name: give one of them another with AS")
    print_records(records, answer.columns, arguments.json)
    return 0


def answer_of(sql: str, settings: Settings) -> Answer:
    """Asks the database that these settings name. Raises SinkUnavailable, and ValueError for bad SQL."""
    if settings.sink_url.startswith(_EMBEDDED):
        return _ask_embedded(sql, settings)
    with closing(open_sink(settings.sink_url, settings.sink.password.get_secret_value())) as database:
        return database.query(sql)


def _ask_embedded(sql: str, settings: Settings) -> Answer:
    """Its owner answers; without one we open the folder ourselves."""
    if not settings.query_socket.is_socket():
        return _open_and_ask(sql, settings)
    try:
        return ask(settings.query_socket, sql)
    except SinkUnavailable as away:
        try:
            return _open_and_ask(sql, settings)
        except SinkUnavailable:
            raise away from None


def _open_and_ask(sql: str, settings: Settings) -> Answer:
    folder = Path(settings.sink_url.removeprefix(_EMBEDDED))
    if not folder.is_dir():
        raise SinkUnavailable(f"there is no database in {folder} yet: `siyu up` or `siyu demo` makes one")
    from sinks.embedded import EmbeddedSink  # noqa: PLC0415 loading chDB takes a second and 300 MB

    with closing(EmbeddedSink(folder, read_only=True)) as database:
        return database.query(sql)
