"""Who would merge, split or change under another merge policy: the persons of two folds, set against each other.

In: the persons of two folds over the same journal, as sets of nodes. Out: differences with counts and examples.
Never: a phone or an e-mail in full.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import networkx as nx

from schemas.masking import masked
from streams.engine import Engine
from streams.identity.nodes import base_of, parts_of

Persons = Mapping[str, frozenset[str]]
_EXAMPLES = 5


class Difference(NamedTuple):
    """Persons that are others under the new policy: merged, split, or both at once (changed)."""

    kind: str
    before: tuple[frozenset[str], ...]
    after: tuple[frozenset[str], ...]


def persons_of(engines: Iterable[Engine]) -> Persons:
    """All persons as sets of plain ids: nodes of visits and contested values are of the policy, not of the people."""
    found = {one: nodes for engine in engines for one, nodes in engine.persons.everyone().items()}
    plain = {one: frozenset(node for node in nodes if node == base_of(node)) for one, nodes in found.items()}
    return {one: nodes for one, nodes in plain.items() if nodes}


def differences(before: Persons, after: Persons) -> Iterator[Difference]:
    """Every group of persons that is not the same in both, the largest first."""
    graph: nx.Graph[tuple[int, str]] = nx.Graph()
    sides = (before, after)
    person = [{node: one for one, nodes in side.items() for node in nodes} for side in sides]
    graph.add_nodes_from((side, one) for side in (0, 1) for one in sides[side])
    graph.add_edges_from(((0, one), (1, person[1][node])) for node, one in person[0].items() if node in person[1])
    groups = [_difference(sides, group) for group in nx.connected_components(graph)]
    told = [group for group in groups if group is not None]
    yield from sorted(told, key=lambda one: (-sum(map(len, one.before)), sorted(map(sorted, one.before))))


def _difference(sides: tuple[Persons, Persons], group: set[tuple[int, str]]) -> Difference | None:
    old, new = (sorted((sides[side][one] for at, one in group if at == side), key=sorted) for side in (0, 1))
    if old == new:
        return None
    if len(new) == 1 and len(old) > 1 and new[0].issuperset(*old):
        kind = "merged"
    else:
        kind = "split" if len(old) == 1 and len(new) > 1 else "changed"
    return Difference(kind, tuple(old), tuple(new))


def write(path: Path, before: Persons, after: Persons) -> dict[str, Any]:
    """Writes one JSON line a difference; counts, and some examples of each kind."""
    counts: Counter[str] = Counter()
    examples: dict[str, list[dict[str, Any]]] = {}
    with path.open("w", encoding="utf-8") as file:
        for one in differences(before, after):
            record = {"difference": one.kind, "policy": _shown(one.before), "compare": _shown(one.after)}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            counts[one.kind] += 1
            if counts[one.kind] <= _EXAMPLES:
                examples.setdefault(one.kind, []).append(record)
    whole = {"persons": len(before), "persons_with_compare": len(after)}
    return {**whole, **{kind: counts[kind] for kind in ("merged", "split", "changed")}, "examples": examples}


def _shown(persons: Iterable[frozenset[str]]) -> list[list[str]]:
    return [sorted(map(_label, nodes)) for nodes in persons]


def _label(node: str) -> str:
    tenant, kind, scope, value = parts_of(node)
    return f"{tenant} {kind}@{scope}:{masked(kind, value)}" if scope else f"{tenant} {kind}:{masked(kind, value)}"
