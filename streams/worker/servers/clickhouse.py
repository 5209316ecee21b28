"""ClickHouse as a server process of ours, on our own configuration.

In:    a folder; the program clickhouse-server, of Debian (18.16) or newer.
Out:   a `Server` whose `port` speaks the native protocol and whose `http_port` HTTP; user default, no password.
Never: the machine's own service, its configuration or its data; replication; a listener open to others.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from streams.worker.servers.process import HOST, Server, find_program, free_ports, running

# The root is `yandex` up to 21.9 and read by newer ones too. Times are UTC whatever the machine says.
_CONFIG = """<?xml version="1.0"?>
<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>{host}</listen_host>
  <tcp_port>{port}</tcp_port>
  <http_port>{http_port}</http_port>
  <path>{data}/</path>
  <tmp_path>{data}/tmp/</tmp_path>
  <user_files_path>{data}/user_files/</user_files_path>
  <format_schema_path>{data}/format_schemas/</format_schema_path>
  <users_config>users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <mark_cache_size>268435456</mark_cache_size>
  <timezone>UTC</timezone>
</yandex>
"""

# An idle connection holds up the end of the server for poll_interval seconds, 10 unless said.
_USERS = """<?xml version="1.0"?>
<yandex>
  <profiles>
    <default>
      <max_memory_usage>{max_memory}</max_memory_usage>
      <poll_interval>1</poll_interval>
    </default>
  </profiles>
  <quotas><default></default></quotas>
  <users>
    <default>
      <password></password>
      <networks><ip>{host}</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </default>
  </users>
</yandex>
"""


@contextmanager
def clickhouse_server(
    folder: Path, *, max_memory_bytes: int = 4 * 1024**3, started_by: Sequence[str] = ()
) -> Iterator[Server]:
    """A server that answers, on its data in `folder` (made when missing); ended at the end of the block.

    `max_memory_bytes` bounds one query. `started_by`: a command that ends by becoming the one that follows it.
    Raises ServerUnavailable without the program, or with the last line it printed.
    """
    program = find_program("clickhouse-server", "Debian's package of that name (deploy/servers.sh)")
    data = (folder / "data").resolve()
    data.mkdir(parents=True, exist_ok=True)
    port, http_port = free_ports(2)
    config = data.parent / "config.xml"
    config.write_text(_CONFIG.format(host=HOST, port=port, http_port=http_port, data=data))
    (data.parent / "users.xml").write_text(_USERS.format(host=HOST, max_memory=max_memory_bytes))
    command = [*started_by, program, f"--config-file={config}"]
    with running(Server("clickhouse", command, data.parent, port, _answers, http_port)) as server:
        yield server


def _answers(server: Server) -> bool:
    try:
        with urlopen(f"http://{HOST}:{server.http_port}/ping", timeout=2.0) as answer:
            return bool(answer.read().strip() == b"Ok.")
    except (URLError, OSError):
        return False
