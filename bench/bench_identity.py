"""Who is who on hostile traffic: the merge policy with its breaker beside a plain union-find, against the truth.

In: seeded traffic with tills' phones, family tablets, null ids in quotes, resold devices and recycled phones, planned
with its truth before any event. Out: pairwise precision and recall of both, and what is held.
Never: a broker, a database.

    python -m bench.bench_identity [--people 3000] [--seed 7]
"""

from __future__ import annotations

import argparse
from collections import Counter

from bench.bench_stages import frames_of
from bench.measure import tell
from bench.traffic import TrafficSpec, plan
from bench.verdict import Node, judge_persons, judge_triggers
from streams.engine import Engine, EngineConfig
from streams.identity.nodes import parts_of
from streams.identity.people import Refusal
from streams.journal.tables import Tables


def main() -> None:
    """Folds one hostile traffic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    traffic = plan(TrafficSpec(people=asked.people, seed=asked.seed, tills=1, recycled=0.3))
    engine, records = Engine(0, EngineConfig(b"bench"), Tables()), []
    for offset, frame in enumerate(frames_of(traffic)):
        records += engine.step(offset, frame).public
    persons = judge_persons(_persons(engine), traffic.truth)
    triggers = judge_triggers(
        [one.record for one in records if one.subject == "trigger"],
        [one.record for one in records if one.subject == "trigger_revoked"],
        traffic.truth,
    )
    refused = [Refusal(*row) for row in engine.tables.table("refused").values()]
    tell(
        "identity",
        events=traffic.events,
        ids=len(engine.tables.table("nodes")),
        persons=persons.found,
        precision=_exact(persons.precision),
        recall_of_evidence=_exact(persons.recall_of_evidence),
        union_find_precision=_exact(persons.sharing_precision),
        suspects=dict(Counter(parts_of(node)[1] for node in engine.tables.table("suspects"))),
        held=sum(row.held for row in refused),
        refused=sum(not row.held for row in refused),
        triggers_as_planned=triggers.right,
    )


def _persons(engine: Engine) -> dict[Node, str]:
    """The person of each id."""
    return {parts_of(node): row[0] for node, row in engine.tables.table("nodes").items() if node.count("\x1f") == 3}


def _exact(share: float) -> str:
    return f"{share:.6f}"


if __name__ == "__main__":
    main()
