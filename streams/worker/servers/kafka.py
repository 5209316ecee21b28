"""Apache Kafka itself, as one node that is broker and controller at once.

In:    a folder, the jars that deploy/kafka/fetch.sh puts into build/kafka/libs, settings that differ from ours.
Out:   a `Server` whose `address` is the bootstrap servers; what was written survives `restart`, also after `kill`.
Never: a topic made by the first who names it, replication (there is one node), TLS.

Transactions, compaction, retention, restarts and lag are tested here and on no other broker (decision 0003).
"""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.worker.servers.process import (
    HOST,
    Server,
    ServerUnavailable,
    find_program,
    free_ports,
    last_words,
    running,
)

MESSAGE_MAX_BYTES = 16 * 1024 * 1024

# 22 letters, as Kafka writes a UUID; any will do, since no two of our nodes ever meet.
_CLUSTER_ID = "SiyuStreamsOneNodeOnly"

# Small internal topics: with Kafka's own 50 partitions each, the first group and the first transaction wait for
# 50 logs to be made.
_SETTINGS: Mapping[str, object] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # A node that was killed is let back in when its old session has ended: 2 s, not 9.
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 300,
    "controller.quorum.election.timeout.ms": 200,
    "controller.quorum.election.backoff.max.ms": 200,
    "controller.quorum.fetch.timeout.ms": 500,
    "num.partitions": 4,
    "auto.create.topics.enable": "false",
    "message.max.bytes": MESSAGE_MAX_BYTES,
    "replica.fetch.max.bytes": MESSAGE_MAX_BYTES,
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "log.cleaner.dedupe.buffer.size": 32 * 1024 * 1024,
}


@contextmanager
def apache_kafka(
    folder: Path, *, settings: Mapping[str, object] | None = None, heap_mib: int = 512, libs: Path | None = None
) -> Iterator[Server]:
    """A broker that answers, on its data in `folder` (made when missing); ended at the end of the block.

    `settings` are server.properties that win over ours; a value of None leaves Kafka's own default.
    Raises ServerUnavailable without Java 17, without the jars, or with the last line that the broker printed.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    java = _java(libs.resolve() if libs else _fetched_libs(), folder, heap_mib)
    port, controller_port = free_ports(2)
    properties = _write_properties(folder, port, controller_port, settings or {})
    _format(java, properties)
    with running(Server("kafka", [*java, "kafka.Kafka", str(properties)], folder, port, answers_metadata)) as server:
        yield server


def _fetched_libs() -> Path:
    """build/kafka/libs of the checkout that this file is in, else of the folder we were started in."""
    roots = [Path(__file__).resolve().parents[3], Path.cwd()]
    for libs in (root / "build" / "kafka" / "libs" for root in roots):
        if any(libs.glob("kafka_2.13-*.jar")):
            return libs
    raise ServerUnavailable("Apache Kafka's jars are missing; run deploy/kafka/fetch.sh")


def _java(libs: Path, folder: Path, heap_mib: int) -> Sequence[str]:
    return [
        find_program("java", "a Java 17 runtime"),
        f"-Xms{heap_mib}m",
        f"-Xmx{heap_mib}m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Dorg.apache.logging.log4j.level=WARN",
        f"-Dkafka.logs.dir={folder}",
        "-cp",
        f"{libs}/*",
    ]


def _write_properties(folder: Path, port: int, controller_port: int, settings: Mapping[str, object]) -> Path:
    placed = {
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "log.dirs": folder / "data",
    }
    merged = {**_SETTINGS, **placed, **settings}
    properties = folder / "server.properties"
    properties.write_text("".join(f"{key}={value}\n" for key, value in merged.items() if value is not None))
    return properties


def _format(java: Sequence[str], properties: Path) -> None:
    """Make the data folder a node's; one that is a node's already stays as it is."""
    if (properties.parent / "data" / "meta.properties").exists():
        return
    tool = [*java, "kafka.tools.StorageTool", "format", "--ignore-formatted"]
    command = [*tool, "--cluster-id", _CLUSTER_ID, "--config", str(properties)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerUnavailable(f"Apache Kafka could not format its folder: {last_words(done.stderr)}")


def answers_metadata(server: Server) -> bool:
    """It answers a metadata request, and each partition has its leader (again, after a restart)."""
    admin = AdminClient({"bootstrap.servers": server.address, "log_level": 0, "socket.timeout.ms": 2000})
    try:
        metadata = admin.list_topics(timeout=2.0)
    except KafkaException:
        return False
    partitions = [partition for topic in metadata.topics.values() for partition in topic.partitions.values()]
    return bool(metadata.brokers) and all(partition.leader >= 0 for partition in partitions)
