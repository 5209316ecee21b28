"""Who is who on hostile traffic: the merge policy with and without its breaker, and a plain union-find.

In: seeded traffic with tills' phones, family tablets, null ids in quotes, resold devices and recycled phones, planned
with its truth before any event. Out: pairwise precision and recall with the breaker, without it, and of a union-find;
what is held. Never: a broker, a database.

    python -m bench.bench_identity [--people 3000] [--seed 7]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

from bench.bench_stages import frames_of
from bench.measure import tell
from bench.traffic import TrafficSpec, Truth, plan
from bench.verdict import Node, Triggers, judge_persons, judge_triggers
from schemas.records import ID_KINDS
from streams.engage.agenda import Public
from streams.engine import Engine, EngineConfig
from streams.identity.nodes import parts_of
from streams.identity.policy import DEFAULT, MergePolicy, compile_policy
from streams.identity.refusals import Refusal
from streams.journal.frame import Frame
from streams.journal.tables import Tables

_NOTHING = "{" + ", ".join(f"{kind}: []" for kind in ID_KINDS) + "}"
_WITHOUT = f"policy: none\nversion: 1\nseen_with: {_NOTHING}\nseen_on: {_NOTHING}\nbridge: {{large: 0, rivals: 0}}\n"


def main() -> None:
    """Folds one hostile traffic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    traffic = plan(TrafficSpec(people=asked.people, seed=asked.seed, tills=1, recycled=0.3))
    frames = frames_of(traffic)
    engine, triggers = _folded(frames, DEFAULT, traffic.truth)
    persons = judge_persons(_persons(engine), traffic.truth)
    unguarded, _ = _folded(frames, compile_policy(_WITHOUT, DEFAULT), traffic.truth)
    limits_only = judge_persons(_persons(unguarded), traffic.truth)
    refused = [Refusal(*row) for row in engine.tables.table("refused").values()]
    tell(
        "identity",
        events=traffic.events,
        ids=len(engine.tables.table("nodes")),
        persons=persons.found,
        precision=_exact(persons.precision),
        recall_of_evidence=_exact(persons.recall_of_evidence),
        without_breaker=[_exact(limits_only.precision), _exact(limits_only.recall_of_evidence)],
        union_find=[_exact(persons.sharing_precision), _exact(persons.sharing_recall)],
        suspects=dict(Counter(parts_of(node)[1] for node in engine.tables.table("suspects"))),
        held=sum(row.held for row in refused),
        refused=sum(not row.held for row in refused),
        triggers_as_planned=triggers.right,
    )


def _folded(frames: Sequence[Frame], policy: MergePolicy, truth: Truth) -> tuple[Engine, Triggers]:
    """The engine after these frames under this policy, and its triggers against the truth."""
    engine, told = Engine(0, EngineConfig(b"bench", policy=policy), Tables()), list[Public]()
    for offset, frame in enumerate(frames):
        told += engine.step(offset, frame).public
    triggers, revoked = ([one.record for one in told if one.subject == each] for each in ("trigger", "trigger_revoked"))
    return engine, judge_triggers(triggers, revoked, truth)


def _persons(engine: Engine) -> dict[Node, str]:
    """The person of each id."""
    return {parts_of(node): row[0] for node, row in engine.tables.table("nodes").items() if node.count("\x1f") == 3}


def _exact(share: float) -> str:
    return f"{share:.6f}"


if __name__ == "__main__":
    main()
