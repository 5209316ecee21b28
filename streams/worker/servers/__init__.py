"""Real servers on this machine, for the demo, the benchmarks and the tests: each a context manager around a process.

In:    an empty folder (or the one of an earlier run), and settings that differ from ours.
Out:   a `Server` that answers on 127.0.0.1; `ServerUnavailable`, one sentence, where its parts are missing.
Never: a container, a service of the machine, a port open to others, a process left behind.
"""

from streams.worker.servers.clickhouse import clickhouse_server
from streams.worker.servers.kafka import apache_kafka
from streams.worker.servers.process import Server, ServerUnavailable
from streams.worker.servers.tansu import tansu

__all__ = ["Server", "ServerUnavailable", "apache_kafka", "clickhouse_server", "tansu"]
