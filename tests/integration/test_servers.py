"""The servers that all other integration tests stand on: they start, keep what they should, and go when they should."""

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from clickhouse_driver import Client
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.worker.servers import Server, ServerUnavailable, apache_kafka, clickhouse_server
from streams.worker.servers import tansu as tansu_broker

pytestmark = pytest.mark.servers

Start = Callable[[Path], AbstractContextManager[Server]]


def new_topic(broker: Server, partitions: int = 1) -> str:
    """A topic of that broker that nobody else uses, once the broker shows it in its metadata."""
    name = f"servers-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": broker.address})
    for done in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        done.result(10)
    return name


def write(broker: Server, topic: str, value: bytes, within_s: float = 20.0) -> None:
    """One record to partition 0, acknowledged; AssertionError with the broker's or the client's error."""
    timeout_ms = int(within_s * 1000)
    producer = Producer({"bootstrap.servers": broker.address, "message.timeout.ms": timeout_ms, "log_level": 0})
    errors: list[str] = []
    producer.produce(topic, value=value, partition=0, on_delivery=lambda error, _: errors.append(str(error)))
    producer.flush(within_s + 5.0)
    assert errors == ["None"]


def read(broker: Server, topic: str, count: int, within_s: float = 20.0) -> list[bytes | None]:
    """The first `count` values of partition 0, or fewer when they don't come in time."""
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": uuid.uuid4().hex, "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values: list[bytes | None] = []
    deadline = time.monotonic() + within_s
    while len(values) < count and time.monotonic() < deadline:
        message: Message | None = consumer.poll(0.2)
        if message is not None and message.error() is None:
            values.append(message.value())
    consumer.close()
    return values


def runs(pid: int) -> bool:
    """Whether that process is there; one that is dead and only waits to be reaped is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def started(start: Start, folder: Path) -> Iterator[Server]:
    """The server, or a skip where it cannot run here."""
    with ExitStack() as ending:
        try:
            server = ending.enter_context(start(folder))
        except ServerUnavailable as unavailable:
            pytest.skip(str(unavailable))
        yield server


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not runs(pid)


def test_apache_kafka_gives_back_what_was_written(kafka: Server) -> None:
    topic = new_topic(kafka)
    write(kafka, topic, b"a")
    assert read(kafka, topic, 1) == [b"a"]


def test_apache_kafka_knows_only_topics_that_were_created(kafka: Server) -> None:
    with pytest.raises(AssertionError, match="_MSG_TIMED_OUT"):
        write(kafka, "nobody-made-this", b"a", within_s=3.0)


def test_apache_kafka_keeps_its_records_over_a_restart(kafka: Server) -> None:
    topic, address = new_topic(kafka), kafka.address
    write(kafka, topic, b"before")
    kafka.restart()
    assert kafka.address == address
    write(kafka, topic, b"after")
    assert read(kafka, topic, 2) == [b"before", b"after"]


def test_apache_kafka_keeps_its_records_when_it_is_killed(kafka: Server) -> None:
    topic = new_topic(kafka)
    write(kafka, topic, b"before")
    kafka.kill()
    assert not kafka.running
    kafka.restart()
    assert read(kafka, topic, 1) == [b"before"]


def test_a_paused_broker_answers_nothing_and_a_resumed_one_does(kafka: Server) -> None:
    topic = new_topic(kafka)
    admin = AdminClient({"bootstrap.servers": kafka.address, "log_level": 0})
    kafka.pause()
    try:
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=1.0)
    finally:
        kafka.resume()
    write(kafka, topic, b"a")
    assert read(kafka, topic, 1) == [b"a"]


def test_clickhouse_gives_back_what_was_written_over_a_restart(clickhouse: Server) -> None:
    client = Client("127.0.0.1", port=clickhouse.port)
    client.execute("CREATE TABLE servers_test (n UInt32) ENGINE = MergeTree ORDER BY n")
    client.execute("INSERT INTO servers_test VALUES", [(1,), (2,)])
    clickhouse.restart()
    assert client.execute("SELECT sum(n) FROM servers_test") == [(3,)]


def test_tansu_gives_back_what_was_written_until_it_restarts(tansu: Server) -> None:
    topic = new_topic(tansu)
    write(tansu, topic, b"a")
    assert read(tansu, topic, 1) == [b"a"]
    tansu.restart()
    assert read(tansu, topic, 1, within_s=1.0) == []


@pytest.mark.parametrize("start", [apache_kafka, clickhouse_server, tansu_broker])
def test_nothing_is_left_running_after_the_block(start: Start, tmp_path: Path) -> None:
    with started(start, tmp_path) as server:
        pid = server.process.pid
        assert runs(pid)
    assert not runs(pid)


def test_nothing_is_left_running_after_a_block_that_raised_while_paused(tmp_path: Path) -> None:
    def block() -> None:
        with started(tansu_broker, tmp_path) as server:
            seen.append(server)
            server.pause()
            raise ZeroDivisionError

    seen: list[Server] = []
    with pytest.raises(ZeroDivisionError):
        block()
    assert not seen[0].running


@pytest.mark.usefixtures("kafka")
def test_a_broker_that_refuses_its_settings_is_unavailable_and_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerUnavailable, match="Invalid value many"),
        apache_kafka(tmp_path, settings={"log.cleaner.threads": "many"}),
    ):
        pytest.fail("it should not have started")


@pytest.mark.usefixtures("tansu")
def test_a_server_that_never_answers_is_unavailable_and_gone(tmp_path: Path) -> None:
    server = Server("silent", ["sleep", "60"], tmp_path, 1, lambda _: True, start_within_s=0.3)
    with pytest.raises(ServerUnavailable, match="gave no answer"):
        server.start()
    assert not server.running


def test_a_server_outlives_the_thread_that_started_it(tansu: Server) -> None:
    """The kernel's parent-death signal is about threads, so this is not a matter of course."""
    starter = threading.Thread(target=tansu.restart)
    starter.start()
    starter.join()
    topic = new_topic(tansu)
    write(tansu, topic, b"a")
    assert read(tansu, topic, 1) == [b"a"]


@pytest.mark.usefixtures("tansu")
def test_a_server_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from streams.worker.servers import tansu\n"
        "with tansu(Path(sys.argv[1])) as server: print(server.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert runs(pid)
        parent.kill()
    assert gone_within(pid, 5.0)
