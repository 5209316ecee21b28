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


@dataclass(frozen=True, slots=True)
class Persons:
    """Persons found beside persons there are; precision and recall over pairs of ids.

    `recall_of_sharing`: of the pairs that plain sharing of ids implies.
    """

    found: int
    true: int
    precision: float
    recall: float
    recall_of_sharing: float


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
    sharing = [_nodes(tenant, ids) for tenant, groups in truth.sharing.items() for ids in groups]
    together, there = _pairs(found, true)
    shared, sharing_there = _pairs(found, sharing)
    claimed = sum(comb(size, 2) for size in Counter(found.values()).values())
    return Persons(
        found=len(set(found.values())),
        true=len(true),
        precision=together / claimed if claimed else 1.0,
        recall=together / there if there else 1.0,
        recall_of_sharing=shared / sharing_there if sharing_there else 1.0,
    )


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
