"""The writer and a ClickHouse that dies, hangs, is full or refuses; and a writer that is killed itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event, Thread

import pytest

from sinks.batches import BlockSize
from sinks.embedded import EmbeddedSink
from sinks.migrations import runner
from sinks.native import Address, NativeSink
from sinks.sink import Sink, SinkUnavailable, Why
from sinks.writer import BlockWriter
from streams.worker.servers import Server, ServerUnavailable, clickhouse_server
from tests.integration.dying import dies_after, dies_before, dies_meanwhile
from tests.integration.patience import until
from tests.unit.sinks.reading import Rows, facts
from tests.unit.sinks.resolved import frames

SMALL = BlockSize(rows=100)
GIVEN = 36, 40
EVERY = 9
"""Which of the labelled statements is disturbed: a block has five to seven of them, so it is another one each time."""

SHARDS = count(1)

KILLED_WRITER = """
import sys
from sinks.batches import BlockSize
from sinks.embedded import EmbeddedSink
from sinks.writer import BlockWriter
from tests.unit.sinks.resolved import frames
writer = BlockWriter(EmbeddedSink(sys.argv[1]), 0, size=BlockSize(rows=100))
for frame in frames(36, 40):
    print(writer.position(), flush=True)
    writer.write([frame])
"""

PRIVATE_DISK = 'mount -t tmpfs -o size=40m tmpfs "$0" && exec "$@"'


@contextmanager
def running(folder: Path, started_by: tuple[str, ...] = ()) -> Iterator[Server]:
    """A migrated server; where it cannot run the test is skipped."""
    try:
        with clickhouse_server(folder, started_by=started_by) as started:
            runner.apply(native(started))
            yield started
    except ServerUnavailable as unavailable:
        pytest.skip(str(unavailable))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of our own, since these tests disturb it."""
    with running(tmp_path_factory.mktemp("clickhouse")) as started:
        yield started


def native(server: Server, answer_within_s: float = 30.0) -> NativeSink:
    return NativeSink(Address("127.0.0.1", server.port, connect_within_s=1.0, answer_within_s=answer_within_s))


class Writing:
    """As the sink's worker: one writer, which is given the frames again whenever the sink was away, until all stand."""

    def __init__(self, sink: Sink, shard: int) -> None:
        self.away: list[Why] = []
        self._stopping = Event()
        self._writer = BlockWriter(sink, shard, size=SMALL)
        self._frames = frames(*GIVEN, shard=shard)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self._frames and not self._stopping.is_set():
            try:
                self._writer.write(self._frames[:6])
                del self._frames[:6]
            except SinkUnavailable as unavailable:
                self.away.append(unavailable.why)
                self._stopping.wait(0.05)

    def await_away(self, why: Why) -> None:
        until(lambda: why in self.away, f"the writer sees that the sink is {why}")

    def await_end(self) -> None:
        self._thread.join(90.0)
        if self._thread.is_alive():
            self._stopping.set()
            raise AssertionError(f"not all was written; tries that failed: {len(self.away)}, the last {self.away[-1:]}")


def undisturbed(server: Server) -> dict[str, Rows]:
    """What stands where nothing happens."""
    shard = next(SHARDS)
    Writing(native(server), shard).await_end()
    return facts(native(server), shard)


class Disturbed(NativeSink):
    """A sink whose every ninth labelled statement is disturbed, each time in the next way."""

    def __init__(self, server: Server, *ways: Callable[[Server, Callable[[], None]], None]) -> None:
        super().__init__(Address("127.0.0.1", server.port, connect_within_s=1.0, answer_within_s=0.5))
        self._server = server
        self._ways = ways
        self._statements = 0
        self.disturbed = 0

    def _run(self, sql: str, label: str = "") -> None:
        self._statements += bool(label)
        if not label or self._statements % EVERY:
            super()._run(sql, label)
            return
        self.disturbed += 1
        self._ways[self.disturbed % len(self._ways)](self._server, lambda: super(Disturbed, self)._run(sql, label))


def hangs_before(server: Server, statement: Callable[[], None]) -> None:
    """The statement reaches a server that is stopped; it runs when nobody waits for it any more."""
    server.pause()
    try:
        statement()
    finally:
        server.resume()


def restarts_after(server: Server, statement: Callable[[], None]) -> None:
    """The server is ended in order and started again."""
    statement()
    server.restart()


@pytest.mark.servers
@pytest.mark.parametrize(
    ("ways", "whys"),
    [
        ((dies_before, dies_meanwhile, dies_after), {Why.AWAY, Why.SLOW}),
        ((hangs_before,), {Why.SLOW}),
        ((restarts_after,), {Why.AWAY}),
    ],
    ids=["killed", "stopped", "restarted"],
)
def test_a_disturbed_server_has_every_row_once(
    server: Server, ways: tuple[Callable[[Server, Callable[[], None]], None], ...], whys: set[Why]
) -> None:
    expected = undisturbed(server)
    shard, sink = next(SHARDS), Disturbed(server, *ways)
    writing = Writing(sink, shard)
    writing.await_end()
    assert sink.disturbed >= 8
    assert set(writing.away) <= whys
    assert len(writing.away) >= sink.disturbed // 2
    assert facts(native(server), shard) == expected


@pytest.mark.servers
def test_a_server_that_is_full_stops_the_writer_until_there_is_space(tmp_path: Path) -> None:
    unshare = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")
    disk = (*unshare, "sh", "-c", PRIVATE_DISK, str(tmp_path / "data"))
    if not shutil.which("unshare") or subprocess.run([*disk, "true"], check=False, capture_output=True).returncode:
        (tmp_path / "data").mkdir(exist_ok=True)
        if subprocess.run([*disk, "true"], check=False, capture_output=True).returncode:
            pytest.skip("this system mounts no small disk for us")
    with running(tmp_path, disk) as server:
        expected = undisturbed(server)
        sink = native(server)
        _fill(sink)
        writing = Writing(native(server), shard := next(SHARDS))
        writing.await_away(Why.FULL)
        sink.execute("DROP TABLE default.ballast")
        writing.await_end()
        assert set(writing.away) == {Why.FULL}
        assert facts(sink, shard) == expected


def _fill(sink: NativeSink) -> None:
    """Puts into a table what compresses badly, in ever smaller pieces, until not even a row has space."""
    sink.execute("CREATE TABLE default.ballast (a UInt64) ENGINE = MergeTree ORDER BY tuple()")
    for rows in (200_000, 20_000, 2_000, 200, 1):
        with pytest.raises(SinkUnavailable) as refused:
            _insert_again_and_again(sink, rows)
        assert refused.value.why is Why.FULL


def _insert_again_and_again(sink: NativeSink, rows: int) -> None:
    for _ in range(2_000):
        sink.execute(f"INSERT INTO default.ballast SELECT rand64() FROM system.numbers LIMIT {rows}")


@pytest.mark.servers
def test_a_server_that_is_read_only_stops_the_writer_until_it_is_not(server: Server) -> None:
    expected = undisturbed(server)
    with _read_only(server):
        until(lambda: _refuses(native(server)), "the server has read its new settings")
        writing = Writing(native(server), shard := next(SHARDS))
        writing.await_away(Why.READ_ONLY)
    writing.await_end()
    assert set(writing.away) == {Why.READ_ONLY}
    assert facts(native(server), shard) == expected


@contextmanager
def _read_only(server: Server) -> Iterator[None]:
    """Its user may only read; the server looks at the file every two seconds, and applies it to new sessions."""
    users = server.folder / "users.xml"
    usual, changed = users.read_text(), users.stat().st_mtime
    users.write_text(usual.replace("<max_memory_usage>", "<readonly>1</readonly><max_memory_usage>"))
    os.utime(users, (changed + 10, changed + 10))
    try:
        yield
    finally:
        users.write_text(usual)
        os.utime(users, (changed + 20, changed + 20))  # the server compares whole seconds


def _refuses(sink: NativeSink) -> bool:
    try:
        sink.execute("DROP TABLE IF EXISTS default.nothing")
    except SinkUnavailable as refused:
        return refused.why is Why.READ_ONLY
    finally:
        sink.close()
    return False


@pytest.mark.servers
def test_too_many_parts_mean_wait(server: Server) -> None:
    sink = native(server)
    sink.execute("DROP TABLE IF EXISTS siyu.crowded")
    limit = "SETTINGS parts_to_delay_insert = 1, parts_to_throw_insert = 1"
    sink.execute(f"CREATE TABLE siyu.crowded (a Int64) ENGINE = MergeTree ORDER BY a {limit}")
    with pytest.raises(SinkUnavailable, match="Too many parts") as crowded:
        _insert_five_times(sink)
    assert crowded.value.why is Why.OVERLOADED
    sink.execute("DROP TABLE siyu.crowded")


def _insert_five_times(sink: NativeSink) -> None:
    for _ in range(5):
        sink.execute("INSERT INTO siyu.crowded SELECT 1")


@pytest.mark.servers
def test_a_wrong_password_means_wait_and_is_not_shown(server: Server) -> None:
    sink = NativeSink(Address("127.0.0.1", server.port, password="hidden"))
    with pytest.raises(SinkUnavailable) as refused:
        sink.query("SELECT 1")
    assert refused.value.why is Why.REFUSED
    assert "hidden" not in str(refused.value) + repr(sink) + repr(vars(sink))


@pytest.mark.servers
def test_a_server_that_does_not_speak_tls_means_wait(server: Server) -> None:
    with pytest.raises(SinkUnavailable):
        NativeSink(Address("127.0.0.1", server.port, secure=True, connect_within_s=1.0)).query("SELECT 1")


def test_nobody_there_means_wait() -> None:
    with pytest.raises(SinkUnavailable, match=r"127\.0\.0\.1:9") as away:
        NativeSink(Address("127.0.0.1", 9, connect_within_s=0.5)).query("SELECT 1")
    assert away.value.why is Why.AWAY


def test_a_second_process_cannot_open_the_embedded_database(tmp_path: Path) -> None:
    sink = EmbeddedSink(tmp_path / "facts")
    opening = f"from sinks.embedded import EmbeddedSink; EmbeddedSink({str(tmp_path / 'facts')!r})"
    second = subprocess.run([sys.executable, "-c", opening], capture_output=True, text=True, check=False)
    sink.close()
    assert "SinkUnavailable" in second.stderr


def test_a_writer_process_killed_again_and_again_leaves_every_row_once(tmp_path: Path) -> None:
    sink = EmbeddedSink(tmp_path / "facts")
    runner.apply(sink)
    Writing(sink, 1).await_end()
    expected = facts(sink, 1)
    sink.close()
    positions = [_killed_after(tmp_path / "facts", writes) for writes in (1, 2, 5, 3, 8, 13)]
    assert positions == sorted(positions)
    assert len(set(positions)) > 3
    sink = EmbeddedSink(tmp_path / "facts")
    Writing(sink, 0).await_end()
    assert facts(sink, 0) == expected
    sink.close()


def _killed_after(folder: Path, writes: int) -> int:
    """A process that writes shard 0 is killed as it begins its so-manieth write; the position that it was at."""
    command = [sys.executable, "-c", KILLED_WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writing:
        assert writing.stdout is not None
        position = [int(writing.stdout.readline()) for _ in range(writes)][-1]
        writing.send_signal(signal.SIGKILL)
    return position
