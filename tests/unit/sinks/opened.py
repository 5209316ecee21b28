"""The sinks that the contract suites run over, each empty and migrated.

In: a kind, and the fixtures that it needs. Out: a sink, closed afterwards. Never: two embedded databases at once.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sinks.memory import MemorySink
from sinks.migrations import runner
from sinks.sink import Database, Sink
from sinks.urls import open_sink

SERVER = pytest.param("native", marks=pytest.mark.servers)
DATABASES = ["embedded", SERVER]
SINKS = ["memory", *DATABASES]


@contextmanager
def opened_sink(request: pytest.FixtureRequest, folder: Path) -> Iterator[Sink]:
    """The sink of `request.param`, migrated."""
    if request.param == "memory":
        yield MemorySink()
        return
    with migrated_database(request, folder) as database:
        yield database


@contextmanager
def migrated_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    """The database of `request.param`, migrated; the embedded one as a copy of what a process migrates once."""
    if _is_server(request):
        with opened_database(request, folder) as server:
            runner.apply(server)
            yield server
        return
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    shutil.copytree(_migrated(factory.getbasetemp() / "migrated"), folder / "facts", symlinks=True)
    with closing(open_sink(f"chdb://{folder}/facts")) as database:
        yield database


def _migrated(folder: Path) -> Path:
    if not folder.exists():
        with closing(open_sink(f"chdb://{folder}")) as database:
            runner.apply(database)
    return folder


@contextmanager
def opened_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    """The database of `request.param`, with nothing of ours in it."""
    server = f"clickhouse://default@{request.getfixturevalue('clickhouse').address}" if _is_server(request) else ""
    database = open_sink(server or f"chdb://{folder}/facts")
    try:
        database.execute("DROP DATABASE IF EXISTS siyu")
        yield database
    finally:
        database.close()


def _is_server(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "native")
