"""Rebuilt tables swapped in on a real ClickHouse that dies in the middle of it, or is being read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sinks import audit, rebuild, swap
from sinks.batches import BlockSize
from sinks.ledger import TABLE as LEDGER
from sinks.migrations import runner
from sinks.native import Address, NativeSink
from sinks.rebuild import Rebuild
from sinks.sink import Database, SinkUnavailable
from sinks.writer import BlockWriter, TablesRebuilt
from streams.worker.servers import Server, ServerUnavailable, clickhouse_server
from tests.integration.dying import dies_after, dies_before, dies_meanwhile
from tests.integration.patience import until
from tests.unit.sinks.reading import Rows, facts
from tests.unit.sinks.resolved import frames

pytestmark = pytest.mark.servers

SMALL = BlockSize(rows=100)
GIVEN = frames(12, 40)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of our own, since these tests disturb it."""
    try:
        with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as started:
            yield started
    except ServerUnavailable as unavailable:
        pytest.skip(str(unavailable))


@pytest.fixture
def live(server: Server) -> Iterator[NativeSink]:
    """Tables that hold the first frames of shard 0, and all of shard 1: what shard 0 is to hold in the end."""
    if not server.running:
        server.start()
    database = native(server)
    for (name,) in database.query("SELECT name FROM system.databases WHERE name LIKE 'siyu%'").rows:
        swap.drop(database, str(name))
        for left in (server.folder / "data" / "data" / str(name), server.folder / "data" / "metadata" / str(name)):
            shutil.rmtree(left, ignore_errors=True)
    runner.apply(database)
    BlockWriter(database, 1, size=SMALL).write(frames(12, 40, shard=1))
    yield database
    database.close()


def native(server: Server) -> NativeSink:
    return NativeSink(Address("127.0.0.1", server.port, connect_within_s=1.0, answer_within_s=5.0))


def rebuilt(live: Database) -> Rebuild:
    building = Rebuild(live)
    building.begin({0: 0, 1: rebuild.whole_blocks(live, 1, 99)})
    building.writer(0, SMALL).write(GIVEN)
    building.check()
    building.close()
    return building


def assert_whole(live: Database, expected: dict[str, Rows]) -> None:
    assert facts(live, 0) == expected
    assert facts(live, 1) == expected
    assert list(audit.differences(live, settled=True)) == []
    BlockWriter(live, 0, size=SMALL).write(frames(13, 40))
    assert len(facts(live, 0)["events"]) == 13 * 40


class Disturbed(NativeSink):
    """A server that dies at the first try of each statement of a swap, each time in the next way."""

    def __init__(self, server: Server) -> None:
        super().__init__(Address("127.0.0.1", server.port, connect_within_s=1.0, answer_within_s=5.0))
        self._server = server
        self.seen: set[str] = set()

    def execute(self, sql: str, label: str = "") -> None:
        if not label or sql in self.seen:
            super().execute(sql, label)
            return
        self.seen.add(sql)
        WAYS[len(self.seen) % len(WAYS)](self._server, lambda: super(Disturbed, self).execute(sql, label))


WAYS = (dies_before, dies_meanwhile, dies_after)


def test_a_swap_during_which_the_server_dies_again_and_again_comes_to_its_end(server: Server, live: NativeSink) -> None:
    expected = facts(live, 1)
    BlockWriter(live, 0, size=SMALL).write(GIVEN[:4])
    building, disturbed = rebuilt(live), Disturbed(server)
    swap.swap(disturbed, building.id)
    assert len(disturbed.seen) >= 9
    assert_whole(live, expected)


class Stop(Exception):
    """The swap is to be looked at here."""


class Stopping(NativeSink):
    """Stops a swap before the RENAME that begins so."""

    def __init__(self, server: Server, before: str) -> None:
        super().__init__(Address("127.0.0.1", server.port))
        self._before = before

    def execute(self, sql: str, label: str = "") -> None:
        if label and sql.startswith(f"RENAME TABLE {self._before}"):
            raise Stop
        super().execute(sql, label)


def moved_folder(server: Server, table: str, source: str, target: str) -> None:
    """As an old server leaves it that was killed after it had moved the folder and before it wrote the name."""
    data = server.folder / "data" / "data"
    (data / target).mkdir(exist_ok=True)
    os.rename(data / source / table, data / target / table)


def both_names(server: Server, table: str, source: str, target: str) -> None:
    """As it leaves it that was killed after it wrote the new name and before it removed the old one."""
    moved_folder(server, table, source, target)
    names = server.folder / "data" / "metadata"
    (names / target).mkdir(exist_ok=True)
    shutil.copy(names / source / f"{table}.sql", names / target / f"{table}.sql")


@pytest.mark.parametrize(
    ("torn", "table", "out"),
    [
        (moved_folder, LEDGER, True),
        (moved_folder, "events", True),
        (moved_folder, "events", False),
        (moved_folder, LEDGER, False),
        (both_names, "events", True),
        (both_names, LEDGER, False),
    ],
)
def test_a_rename_torn_by_a_kill_is_mended(
    server: Server, live: NativeSink, torn: Callable[[Server, str, str, str], None], table: str, out: bool
) -> None:
    expected = facts(live, 1)
    BlockWriter(live, 0, size=SMALL).write(GIVEN[:4])
    building = rebuilt(live)
    fresh, old = swap.fresh_name(live, building.id), f"siyu_old_{building.id}"
    before = f"siyu.{table} TO" if out or table != LEDGER else f"{fresh}.{LEDGER} TO"
    with pytest.raises(Stop):
        swap.swap(Stopping(server, before), building.id)
    if not out and table != LEDGER:
        live.execute(f"RENAME TABLE siyu.{table} TO {old}.{table}")
    server.kill()
    torn(server, table, *(("siyu", old) if out else (fresh, "siyu")))
    server.start()
    swap.finish(live, quiet_s=0)
    assert_whole(live, expected)
    swap.clear(live)


def test_a_query_that_goes_from_table_to_table_does_not_stop_a_swap(server: Server, live: NativeSink) -> None:
    expected = facts(live, 1)
    building = rebuilt(live)
    asking, looking = native(server), native(server)
    slow = (
        "SELECT count() FROM siyu.events WHERE node IN (SELECT node FROM siyu.identity_map WHERE {0}) AND event_id IN"
    )
    slow += " (SELECT trigger_id FROM siyu.deliveries WHERE {0})"
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(asking.query, slow.format("sleepEachRow(0.05) = 0"))
        running = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT count() FROM siyu.events WHERE node%'"
        until(lambda: looking.query(running).rows == ((1,),), "the query runs")
        swap.swap(live, building.id, patience_s=60.0)
        assert asked.result().rows
    assert_whole(live, expected)


def test_a_writer_goes_on_through_a_swap(server: Server, live: NativeSink) -> None:
    expected = facts(live, 1)
    building = rebuilt(live)
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(_write_through, native(server))
        until(lambda: live.count("events", {"shard": 0}) > 0, "something is written")
        swap.swap(native(server), building.id)
        writing.result()
    assert facts(live, 0) == expected


def _write_through(sink: NativeSink) -> None:
    """As the sink's worker, until everything stands and the tables were rebuilt once."""
    writer, seen = BlockWriter(sink, 0, size=SMALL), 0
    while not seen:
        for frame in GIVEN:
            try:
                writer.write([frame])
            except TablesRebuilt:
                seen += 1
                break
            except SinkUnavailable:
                break
        else:
            writer = BlockWriter(sink, 0, size=SMALL) if _is_swapped(sink) else writer
            seen += _is_swapped(sink)
    BlockWriter(sink, 0, size=SMALL).write(GIVEN)


def _is_swapped(sink: NativeSink) -> bool:
    try:
        return sink.count(LEDGER, {"shard": 0, "state": "rebuilt"}) > 0
    except SinkUnavailable:
        return False
