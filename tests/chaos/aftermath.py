"""What a run left behind, beside what an undisturbed run over the same journal gives.

In: the topics as a consumer of committed records reads them, ClickHouse, the traffic's truth. Out: differences.
Never: a filter: every record and every row there is counted.

The undisturbed run is the pure fold of the journal, with its resolved frames written once to a fresh embedded database.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Any

import msgpack
from confluent_kafka import Consumer, TopicPartition

from bench.traffic import OrderKey, Truth
from schemas.codec import decode_one, encode
from schemas.frames import encode_resolved
from schemas.registry import LocalRegistry
from sinks.audit import Asked
from sinks.embedded import EmbeddedSink
from sinks.migrations import runner
from sinks.urls import open_sink
from sinks.writer import BlockWriter
from streams.backtest import Shards
from streams.engine import Outputs
from streams.journal.frame import decode_frame
from streams.journal.tables import Change
from streams.settings import Settings
from streams.topics import CHANGELOG, COUPON, DECISIONS, JOURNAL, RESOLVED, REVOKED, public_topics
from streams.worker.clients import Record, consumer_config, read
from streams.worker.config import engine_config
from streams.worker.state.restore import restore
from streams.worker.state.store import MemoryStore

_NOT_ASKED = {"sink_blocks", "sink_erased", "sink_turns", "migrations", "touchpoint_minute_parts", "path_of"}
"""Tables whose rows depend on how frames fell into blocks (the roll-up over the parts does not), and a view that only
answers for a person."""

_BYTES = {"raw", "raw_key"}
_TOO_LATE = {"expired", "ended_before_send"}
_RULE = "unpaid-order-coupon"
_REGISTRY = LocalRegistry()
Difference = tuple[int, int]
"""How many are missing, how many too many."""

Differences = dict[str, Difference]
"""The same, by what is compared."""


@dataclass
class Aftermath:
    """`folder` is for the undisturbed run's database. `failed`: orders whose message was reported not to have gone."""

    settings: Settings
    folder: Path
    failed: frozenset[OrderKey] = frozenset()
    _topics: dict[str, list[Record]] = field(default_factory=dict)

    def topic(self, name: str) -> list[Record]:
        """Every committed record of the topic; read once."""
        if name not in self._topics:
            starts = dict.fromkeys(range(self.settings.kafka.shards), 0)
            self._topics[name] = list(read(self.settings, name, starts))
        return self._topics[name]

    @cached_property
    def shards(self) -> Shards:
        """The engines of the undisturbed run, as they are at its end."""
        return Shards(engine_config(self.settings))

    @cached_property
    def outputs(self) -> list[tuple[int, int, Outputs]]:
        """Shard, journal offset and what the undisturbed run makes of it."""
        journal = self.topic(JOURNAL)
        return [
            (r.partition, r.offset, self.shards.step(r.partition, r.offset, decode_frame(r.value))) for r in journal
        ]

    def public(self) -> Differences:
        """Public topics: records by key and bytes."""
        return {name: _difference(self._folded(name), self._found(name)) for name in public_topics(self.settings)}

    def _folded(self, topic: str) -> Counter[Any]:
        return Counter(
            (key.encode(errors="surrogateescape") or None, encode(subject, record, _REGISTRY.id_of(subject)))
            for _, _, outputs in self.outputs
            for to, key, subject, record in outputs.public
            if to == topic
        )

    def _found(self, topic: str) -> Counter[Any]:
        return Counter((record.key, record.value) for record in self.topic(topic))

    def resolved(self) -> Differences:
        """By shard: whether each journal frame has its one resolved frame, in order and to the byte."""
        found: dict[str, Difference] = {}
        for number, _ in self._engines():
            folded = [encode_resolved(outputs.resolved) for shard, _, outputs in self.outputs if shard == number]
            stored = [record.value for record in sorted(self.topic(RESOLVED)) if record.partition == number]
            unlike = sum(one != other for one, other in zip(folded, stored, strict=False))
            found[f"{number}"] = unlike + max(0, len(folded) - len(stored)), unlike + max(0, len(stored) - len(folded))
        return found

    def coupons(self, truth: Truth) -> Difference:
        """Orders that lack the coupon which is due to them by the truth of the traffic, and coupons too many.

        An outage is hours of simulated time. So what stands at the end is compared (a payment in time that came after
        the firing revokes, before a delayed firing it prevents), and an order may lack its coupon if a decision says
        that the firing came too late: after the payment, or after the expiry. What failed and fell back to another
        channel went out twice, and is left out.
        """
        sent, revoked, decisions = (self._decoded(topic) for topic in (COUPON, REVOKED, DECISIONS))
        too_late = {_order(decision) for decision in decisions if decision["reason"] in _TOO_LATE}
        due = truth.fires.keys() - truth.revoked - too_late - self.failed
        stands = standing((one for one in sent if one["rule"] == _RULE), revoked)
        return _difference(Counter(due), Counter({order: n for order, n in stands.items() if order not in self.failed}))

    def _decoded(self, topic: str) -> list[dict[str, Any]]:
        return [decode_one(record.value, _REGISTRY) for record in self.topic(topic)]

    def state(self) -> Differences:
        """By shard and table: rows that another host restores beside those of the undisturbed run."""
        found: dict[str, Difference] = {}
        for shard, engine in self._engines():
            wanted, restored = _by_table(_kept(engine.tables.rows())), _by_table(_kept(self._restored(shard)))
            for table in wanted | restored:
                found[f"{shard}, {table}"] = _difference(wanted[table], restored[table])
        return found

    def _engines(self) -> list[tuple[int, Any]]:
        assert self.outputs  # folding makes them
        return sorted(self.shards.engines.items())

    def _restored(self, shard: int) -> list[Change]:
        consumer = Consumer(consumer_config(self.settings.kafka, "another-host", enable_partition_eof=True))
        return list(restore(MemoryStore(), consumer, TopicPartition(CHANGELOG, shard), Event())[0].rows())

    def facts(self) -> Differences:
        """Tables and views of ClickHouse: rows, less the numbers of their blocks."""
        with closing(open_sink(self.settings.sink_url)) as found:
            return self.facts_of(found)

    def facts_of(self, found: Asked) -> Differences:
        """The same, of a database that another process may own."""
        return {name: _difference(rows, _rows(found, name)) for name, rows in self.undisturbed.items()}

    @cached_property
    def undisturbed(self) -> dict[str, Counter[Any]]:
        """The rows of the undisturbed run by table and view."""
        with closing(EmbeddedSink(self.folder / "undisturbed")) as database:
            runner.apply(database)
            for shard, _ in self._engines():
                frames = [outputs.resolved for of, _, outputs in self.outputs if of == shard]
                BlockWriter(database, shard).write(frames)
            names = [str(row[0]) for row in database.query("SHOW TABLES FROM siyu").rows]
            return {name: _rows(database, name) for name in names if name not in _NOT_ASKED}


def _rows(database: Asked, table: str) -> Counter[Any]:
    named = [row[0] for row in database.query(f"DESCRIBE TABLE siyu.{table}").rows if row[0] != "block"]
    columns = [f"hex({name})" if name in _BYTES else name for name in named]
    return Counter(map(repr, database.query(f"SELECT {', '.join(columns)} FROM siyu.{table}").rows))


def _kept(rows: Any) -> list[Change]:
    """Rows as a store gives them back."""
    return [Change(*msgpack.unpackb(msgpack.packb(tuple(change)), use_list=False)) for change in rows]


def _by_table(rows: Iterable[Change]) -> defaultdict[str, Counter[Any]]:
    found: defaultdict[str, Counter[Any]] = defaultdict(Counter)
    for table, key, value in rows:
        found[table][key, repr(value)] += 1
    return found


def _difference(wanted: Counter[Any], found: Counter[Any]) -> Difference:
    return (wanted - found).total(), (found - wanted).total()


def standing(records: Any, revoked: Any) -> Counter[tuple[str, str]]:
    """Coupons that stand at the end, by order: those that were sent and not revoked."""
    return Counter(map(_order, records)) - Counter(map(_order, revoked))


def _order(record: Mapping[str, Any]) -> tuple[str, str]:
    return record["tenant"], record["business_key"]
