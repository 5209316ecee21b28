"""Fixtures that every folder of tests may ask for: the real servers, each started once a session when first asked for.

In:    SIYU_REQUIRE_SERVERS=1 where they must run (CI); elsewhere a server that cannot run here skips its tests.
Out:   a `Server` that answers. It is shared: a test makes its own topics and tables, under names of its own.
Never: a server for a test that did not ask for one.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from itertools import chain, groupby, zip_longest
from pathlib import Path

import pytest
from hypothesis import settings

from streams.worker.servers import Server, ServerUnavailable, apache_kafka, clickhouse_server
from streams.worker.servers import tansu as tansu_broker

settings.register_profile("thorough", settings.get_profile("default"))

_WAITING, _COMPUTING = ("integration", "chaos"), ("laws", "contracts")
"""Folders of tests that take minutes: those that mostly wait for servers, and those that need the processor."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait and files that compute take turns, and the short ones come last: so two workers that are handed
    file after file keep two cores busy to the end."""
    files = [(_folder(path), list(of)) for path, of in groupby(items, lambda item: item.path)]
    waiting, computing = ([of for folder, of in files if folder in long] for long in (_WAITING, _COMPUTING))
    short = [of for folder, of in files if folder not in _WAITING + _COMPUTING]
    nothing: list[pytest.Item] = []
    turns = chain.from_iterable(zip_longest(waiting, computing, fillvalue=nothing))
    items[:] = chain.from_iterable([*turns, *short])


def _folder(path: Path) -> str:
    here = Path(__file__).parent
    return path.relative_to(here).parts[0] if path.is_relative_to(here) else ""


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Apache Kafka, one node. A test that disturbs it leaves it running and answering."""
    with ExitStack() as ending:
        yield _started(ending, apache_kafka(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A ClickHouse server: `port` native, `http_port` HTTP, user default without password."""
    with ExitStack() as ending:
        yield _started(ending, clickhouse_server(tmp_path_factory.mktemp("clickhouse")))


@pytest.fixture(scope="session")
def tansu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The embedded broker: nothing about transactions, compaction, retention, restarts or lag is tested on it."""
    with ExitStack() as ending:
        yield _started(ending, tansu_broker(tmp_path_factory.mktemp("tansu")))


def _started(ending: ExitStack, server: AbstractContextManager[Server]) -> Server:
    """Enter the context until `ending`; where the server cannot run, skip, or fail when servers are required."""
    try:
        return ending.enter_context(server)
    except ServerUnavailable as unavailable:
        if os.environ.get("SIYU_REQUIRE_SERVERS") == "1":
            pytest.fail(f"SIYU_REQUIRE_SERVERS=1, but {unavailable}", pytrace=False)
        pytest.skip(str(unavailable))
