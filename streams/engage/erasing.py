"""What an erased person did, was sent, said and waits for goes with them.

In: the nodes that were erased. Out: rows dropped from every table of rooms that know persons by their nodes.
Never: a row that is of another person: of those only the erased ids are struck.

All rows are looked at: an erasure is rare, and costs about a microsecond a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from streams.engage.match import SEPARATOR, from_row
from streams.engage.runs import Runs
from streams.journal.tables import Tables
from streams.rules.absence import Seen

Nodes = frozenset[str]

_BY_NODE: dict[str, Callable[[str], str]] = {
    "doings": lambda key: key.rpartition(SEPARATOR)[0],
    "consents": lambda key: key.rpartition(SEPARATOR)[0],
    "traits": lambda key: key.rpartition(SEPARATOR)[0],
    "answers": lambda key: key.rpartition(SEPARATOR)[0],
    "entries": lambda key: key.rpartition(SEPARATOR)[0],
    "sends": lambda key: key,
    "tags": lambda key: key,
    "hours": lambda key: key,
    "histories": lambda key: key.split(SEPARATOR, 2)[2],
    "awaited": lambda key: key.split(SEPARATOR, 2)[2],
    "dates": lambda key: key.split(SEPARATOR, 2)[2],
}
"""Tables whose keys name the node that a row is of, and how."""


class Erasing:
    """Table `erased_triggers`: trigger_id → when its person was erased, so that no receipt of it is kept."""

    def __init__(self, tables: Tables, runs: Runs) -> None:
        self._tables = tables
        self._runs = runs
        self._triggers = tables.table("erased_triggers")

    def knows(self, trigger_id: str) -> bool:
        """Whether the trigger's person was erased."""
        return trigger_id in self._triggers

    def erase(self, nodes: Nodes, time_ms: int) -> None:
        """Drops what is of these nodes."""
        for name, node_of in _BY_NODE.items():
            table = self._tables.table(name)
            for key in [key for key in table if node_of(key) in nodes]:
                self._drop(name, key)
        for run in self._runs.of(nodes):
            self._runs.drop(run)
            self._tables.table("timers").drop(run.key)
        for run in self._runs.all():
            if not nodes.isdisjoint(run.nodes):
                self._runs.put(replace(run, nodes=_others(run.nodes, nodes)))
        for name, without in (("waits", _wait), ("matches", _match), ("instances", _instance)):
            self._strike(name, without, nodes)
        matches, sent = self._tables.table("matches"), self._tables.table("sent")
        for trigger_id, (key, node, *_) in list(sent.items()):
            if node in nodes or key not in matches:
                sent.drop(trigger_id)
                self._triggers.put(trigger_id, time_ms)

    def _strike(self, name: str, without: Callable[[Any, Nodes], Any], nodes: Nodes) -> None:
        table = self._tables.table(name)
        for key, row in list(table.items()):
            left = without(row, nodes)
            if left is None:
                self._drop(name, key)
            elif left != row:
                table.put(key, left)

    def _drop(self, name: str, key: str) -> None:
        self._tables.table(name).drop(key)
        self._tables.table("timers").drop(key)


def _wait(row: Sequence[Any], nodes: Nodes) -> Sequence[Any] | None:
    of, *times = row
    return None if of[0] in nodes else (_others(of, nodes), *times)


def _match(row: Sequence[Any], nodes: Nodes) -> Sequence[Any] | None:
    match = from_row(SEPARATOR * 2, row)
    if (match.nodes and match.nodes[0] in nodes) or match.sent_to in nodes:
        return None
    business_key, of, *more = row
    return (business_key, _others(of, nodes), *more)


def _instance(row: Sequence[Any], nodes: Nodes) -> Sequence[Any] | None:
    """An order is of whom its first event is; where another paid, that stays known without their ids."""
    anchor, ended, *more = row
    first = anchor or ended
    if first and first[2] and first[2][0] in nodes:
        return None
    return (*(_seen(seen, nodes) for seen in (anchor, ended)), *more)


def _seen(seen: Sequence[Any] | None, nodes: Nodes) -> Seen | None:
    return Seen(seen[0], seen[1], _others(seen[2], nodes)) if seen else None


def _others(of: Sequence[str], nodes: Nodes) -> tuple[str, ...]:
    return tuple(node for node in of if node not in nodes)
