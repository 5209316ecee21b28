"""Holds what a run did against what is true of its traffic.

In: the truth of a plan; persons, triggers and refusals as they were found outside the pipeline. Out: counts.
Never: a filter: every record found is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

from bench.traffic import OrderKey, Truth

Node = tuple[str, str, str, str]
"""Tenant, kind, scope, value."""

PRECISION = 0.9999
RECALL = 0.995
"""What a run must reach, over pairs of ids."""


@dataclass(frozen=True, slots=True)
class Persons:
    """Persons found beside persons there are; precision and recall over pairs of ids.

    `recall_of_evidence`: of the pairs that sharing proves where devices may be several people's. `sharing_precision`
    and `sharing_recall`: what joining all that share an id, a plain union-find, would have got.
    """

    found: int
    true: int
    precision: float
    recall: float
    recall_of_evidence: float
    sharing_precision: float
    sharing_recall: float

    @property
    def right(self) -> bool:
        """Whether as good as nobody was joined to a stranger, and almost everybody to all that is proven."""
        return self.precision >= PRECISION and self.recall_of_evidence >= RECALL


@dataclass(frozen=True, slots=True)
class Triggers:
    """Records on the trigger topic against the orders that are due; `wrong_due` were fired for another instant."""

    due: int
    fired: int
    missing: int
    extra: int
    double: int
    wrong_due: int
    revoked: int
    revoked_wrong: int

    @property
    def right(self) -> bool:
        """Whether nothing is missing, extra, double or wrong."""
        return not any((self.missing, self.extra, self.double, self.wrong_due, self.revoked_wrong))


def judge_persons(found: Mapping[Node, Hashable], truth: Truth) -> Persons:
    """Persons found (id → name of its person) against the truth."""
    true = [_nodes(tenant, ids) for tenant, groups in truth.persons.items() for ids in groups]
    evidence = [_nodes(tenant, ids) for tenant, groups in truth.evidence.items() for ids in groups]
    sharing = {
        node: (tenant, at)
        for tenant, groups in truth.sharing.items()
        for at, ids in enumerate(groups)
        for node in _nodes(tenant, ids)
    }
    precision, recall = _scores(found, true)
    sharing_precision, sharing_recall = _scores(sharing, true)
    proven, all_proven = _pairs(found, evidence)
    return Persons(
        found=len(set(found.values())),
        true=len(true),
        precision=precision,
        recall=recall,
        recall_of_evidence=proven / all_proven if all_proven else 1.0,
        sharing_precision=sharing_precision,
        sharing_recall=sharing_recall,
    )


def _scores(found: Mapping[Node, Hashable], true: Sequence[Sequence[Node]]) -> tuple[float, float]:
    """Precision and recall over pairs of ids."""
    together, there = _pairs(found, true)
    claimed = sum(comb(size, 2) for size in Counter(found.values()).values())
    return together / claimed if claimed else 1.0, together / there if there else 1.0


def _nodes(tenant: str, ids: Iterable[tuple[str, str, str]]) -> list[Node]:
    return [(tenant, *identity) for identity in ids]


def _pairs(found: Mapping[Node, Hashable], groups: Sequence[Sequence[Node]]) -> tuple[int, int]:
    """Pairs of ids of one group that were found together, and all pairs there are, each pair once."""
    pairs = {pair for group in groups for pair in combinations(sorted(group), 2)}
    together = sum(found.get(a, a) == found.get(b, b) for a, b in pairs)
    return together, len(pairs)


def judge_triggers(
    triggers: Sequence[Mapping[str, Any]], revoked: Sequence[Mapping[str, Any]], truth: Truth
) -> Triggers:
    """Records of the trigger topic and of the revocations, as they stand there, against the truth."""
    fired = Counter(_order(record) for record in triggers)
    wrong = sum(truth.fires.get(_order(record), record["due_time"]) != record["due_time"] for record in triggers)
    taken_back = Counter(_order(record) for record in revoked)
    return Triggers(
        due=len(truth.fires),
        fired=len(triggers),
        missing=len(truth.fires.keys() - fired.keys()),
        extra=len(fired.keys() - truth.fires.keys()),
        double=sum(number - 1 for number in fired.values()),
        wrong_due=wrong,
        revoked=len(revoked),
        revoked_wrong=len(truth.revoked ^ taken_back.keys()) + sum(number - 1 for number in taken_back.values()),
    )


def _order(record: Mapping[str, Any]) -> OrderKey:
    return record["tenant"], record["business_key"]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
