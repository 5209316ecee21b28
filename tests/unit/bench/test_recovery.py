"""The state that `bench_recovery` multiplies is one that an engine can go on from."""

from __future__ import annotations

from collections import Counter

from bench.bench_recovery import CONFIG, _folded, _multiplied
from bench.bench_stages import frames_of
from bench.traffic import TrafficSpec, plan
from streams.engine import Engine
from streams.journal.tables import Tables


def test_rows_of_every_kind_are_multiplied_and_restored() -> None:
    rows = _folded(frames_of(plan(TrafficSpec(people=60, days=1.0))))
    more = list(_multiplied(rows, 3 * len(rows)))
    before, after = Counter(row.table for row in rows), Counter(row.table for row in more)
    assert len(more) == 3 * len(rows)
    assert all(after[table] > 2 * before[table] for table in ("nodes", "links", "persons", "instances", "timers"))
    engine = Engine(0, CONFIG, Tables(more))
    nodes = Counter(row.key for row in more if row.table == "nodes")
    assert sum(map(len, engine.persons.everyone().values())) == len(nodes)
    assert all(engine.persons.members(one_id) for one_id in engine.persons.everyone())
