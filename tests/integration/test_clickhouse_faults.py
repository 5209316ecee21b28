"""The writer and a ClickHouse that dies, hangs, refuses or is not there; and a writer that is killed itself."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sinks.batches import BlockSize
from sinks.embedded import EmbeddedSink
from sinks.migrations import runner
from sinks.native import Address, NativeSink
from sinks.sink import Sink, SinkUnavailable
from sinks.writer import BlockWriter
from streams.worker.servers import Server, ServerUnavailable, clickhouse_server
from tests.unit.sinks.reading import facts
from tests.unit.sinks.resolved import frames

SMALL = BlockSize(rows=100)
GIVEN = 60, 40

KILLED_WRITER = """
import sys
from sinks.batches import BlockSize
from sinks.embedded import EmbeddedSink
from sinks.writer import BlockWriter
from tests.unit.sinks.resolved import frames
writer = BlockWriter(EmbeddedSink(sys.argv[1]), 0, size=BlockSize(rows=100))
print(writer.position(), flush=True)
for frame in frames(60, 40):
    writer.write([frame])
print("end", flush=True)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of our own, since these tests disturb it."""
    try:
        with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as started:
            runner.apply(NativeSink(Address("127.0.0.1", started.port)))
            yield started
    except ServerUnavailable as unavailable:
        pytest.skip(str(unavailable))


def native(server: Server, answer_within_s: float = 60.0) -> NativeSink:
    return NativeSink(Address("127.0.0.1", server.port, connect_within_s=1.0, answer_within_s=answer_within_s))


def write_until_done(sink: Sink, shard: int, within_s: float = 60.0) -> int:
    """As the sink's agent does: one writer, which is given the frames again whenever the sink was away; how often."""
    writer = BlockWriter(sink, shard, size=SMALL)
    deadline, away = time.monotonic() + within_s, 0
    while time.monotonic() < deadline:
        try:
            writer.write(frames(*GIVEN, shard=shard))
        except SinkUnavailable:
            away += 1
            time.sleep(0.1)
        else:
            return away
    raise AssertionError("the sink did not come back")


@pytest.mark.servers
def test_a_server_that_is_killed_while_we_write_has_every_row_once(server: Server) -> None:
    write_until_done(native(server), 1)
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write_until_done, native(server), 2)
        for _ in range(3):
            time.sleep(0.3)
            server.kill()
            server.restart()
    assert writing.result() > 0
    assert facts(native(server), 2) == facts(native(server), 1)


@pytest.mark.servers
def test_a_server_that_hangs_while_we_write_has_every_row_once(server: Server) -> None:
    write_until_done(native(server), 3)
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write_until_done, native(server, answer_within_s=0.3), 4)
        for _ in range(4):
            time.sleep(0.2)
            server.pause()
            time.sleep(0.8)
            server.resume()
    assert writing.result() > 0
    assert facts(native(server), 4) == facts(native(server), 3)


@pytest.mark.servers
def test_too_many_parts_mean_wait(server: Server) -> None:
    sink = native(server)
    sink.execute("DROP TABLE IF EXISTS siyu.crowded")
    limit = "SETTINGS parts_to_delay_insert = 1, parts_to_throw_insert = 1"
    sink.execute(f"CREATE TABLE siyu.crowded (a Int64) ENGINE = MergeTree ORDER BY a {limit}")
    with pytest.raises(SinkUnavailable, match="Too many parts"):
        _insert_five_times(sink)


def _insert_five_times(sink: NativeSink) -> None:
    for _ in range(5):
        sink.execute("INSERT INTO siyu.crowded SELECT 1")


@pytest.mark.servers
def test_a_wrong_password_means_wait_and_is_not_shown(server: Server) -> None:
    sink = NativeSink(Address("127.0.0.1", server.port, password="hidden"))
    with pytest.raises(SinkUnavailable) as refused:
        sink.query("SELECT 1")
    assert "hidden" not in str(refused.value) + repr(sink) + repr(vars(sink))


@pytest.mark.servers
def test_a_server_that_does_not_speak_tls_means_wait(server: Server) -> None:
    with pytest.raises(SinkUnavailable):
        NativeSink(Address("127.0.0.1", server.port, secure=True, connect_within_s=1.0)).query("SELECT 1")


def test_nobody_there_means_wait() -> None:
    with pytest.raises(SinkUnavailable, match=r"127\.0\.0\.1:9"):
        NativeSink(Address("127.0.0.1", 9, connect_within_s=0.5)).query("SELECT 1")


def test_a_second_process_cannot_open_the_embedded_database(tmp_path: Path) -> None:
    sink = EmbeddedSink(tmp_path / "facts")
    opening = f"from sinks.embedded import EmbeddedSink; EmbeddedSink({str(tmp_path / 'facts')!r})"
    second = subprocess.run([sys.executable, "-c", opening], capture_output=True, text=True, check=False)
    sink.close()
    assert "SinkUnavailable" in second.stderr


def test_a_writer_process_killed_again_and_again_leaves_every_row_once(tmp_path: Path) -> None:
    sink = EmbeddedSink(tmp_path / "facts")
    runner.apply(sink)
    write_until_done(sink, 1)
    expected = facts(sink, 1)
    sink.close()
    positions = [_killed_after(tmp_path / "facts", ms) for ms in (50, 120, 200, 300, 450, 600)]
    assert len(set(positions)) > 1
    sink = EmbeddedSink(tmp_path / "facts")
    write_until_done(sink, 0)
    assert facts(sink, 0) == expected
    sink.close()


def _killed_after(folder: Path, milliseconds: int) -> int:
    """A process that writes shard 0 is killed so long after it began to; the position that it began at."""
    command = [sys.executable, "-c", KILLED_WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writing:
        assert writing.stdout is not None
        position = int(writing.stdout.readline())
        time.sleep(milliseconds / 1000)
        writing.send_signal(signal.SIGKILL)
    return position
