"""Small worlds, small enough to look at every end that they can come to.

In: owners, how many frames or records there are, how many faults may happen. Out: a cluster.
Never: a world that is at its end from the start.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.frames import Resolved, encode_resolved
from streams.journal.frame import Partition
from streams.topics import COMMANDS, DELIVERIES, JOURNAL, RESOLVED
from tests.support.shell.broker import Broker
from tests.support.shell.cluster import Cluster
from tests.support.shell.engine import Engine
from tests.support.shell.ingest import TENANT, Twin
from tests.support.shell.sink import Sink
from tests.support.shell.world import World
from tests.unit.ingest.raw import NOW_MS, command, delivery
from tests.unit.sinks.resolved import delivery as receipt
from tests.unit.sinks.resolved import node, rows_of

RECEIPTS = Partition(DELIVERIES, 0)
LINKS = Partition(COMMANDS, 0)
APART = frozenset({"engine", "ingest", "sink"})


def engines(
    *owners: Engine, frames: int = 2, faults: int = 1, committed: int = 0, apart: frozenset[str] = frozenset()
) -> Cluster:
    """Engines over a journal that stands already; `committed` is what Faust believes of it."""
    kafka = Broker(groups={JOURNAL: committed})
    for at in range(frames):
        kafka.append(JOURNAL, f"frame {at}".encode())
    return Cluster({"engine": owners}, faults, apart=apart, world=World(kafka))


def sinks(*owners: Sink, frames: int, faults: int, apart: frozenset[str] = frozenset()) -> Cluster:
    """Sinks over resolved frames, the first of which stands there twice: its first transaction was given up."""
    kafka = Broker()
    values = resolved(frames)
    for sent in (values[:1], values):
        epoch = kafka.init_transactions("engine")
        for value in sent:
            kafka.send("engine", epoch, RESOLVED, value)
    kafka.commit("engine", epoch)
    kafka.mark("engine")
    return Cluster({"sink": owners}, faults, apart=apart, world=World(kafka))


def resolved(frames: int) -> list[bytes]:
    """Resolved frames, each with rows of two tables."""
    return [encode_resolved(Resolved(0, at, 0, _rows(at))) for at in range(frames)]


def _rows(at: int) -> dict[str, object]:
    nodes = (node(at, row) for row in range(2))
    return {"deliveries": rows_of("deliveries", receipt(at)), "identity_map": rows_of("identity_map", *nodes)}


def twins(*owners: Twin, receipts: int, links: int, faults: int, each: bool = False) -> Cluster:
    """Ingest workers and raw records of two partitions; where `each` is needed, one can't stand in for another."""
    coming = {
        RECEIPTS: tuple((delivery(tenant=TENANT, delivery_id=f"receipt {at}"), 1) for at in range(receipts)),
        LINKS: tuple((command(tenant=TENANT, command_id=f"link {at}"), 1) for at in range(links)),
    }
    seats: dict[str, Sequence[Twin]] = {twin.owner: (twin,) for twin in owners} if each else {"ingest": owners}
    return Cluster({role: tuple(twins) for role, twins in seats.items()}, faults, coming, world=World(now_ms=NOW_MS))
