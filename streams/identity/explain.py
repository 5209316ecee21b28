"""Why two ids are one person: the chain of evidence between them, and its weakest link.

In: the links of one person. Out: the shortest chain. Never: state; a link that is not there.

Of several chains with equally few links the one over stronger ids is told. The weakest link of a chain is the one whose
weaker id is of the weakest kind, the last of them where there are several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

import networkx as nx

from streams.compact.rows import Link

_RANK_WEIGHT = 1e-6


class Step(NamedTuple):
    """From one node to the next, by this link."""

    a: str
    b: str
    link: Link


class Chain(NamedTuple):
    """Steps from the one id to the other; `weakest` is one of them, None where the two are the same id."""

    steps: tuple[Step, ...]
    weakest: Step | None


def explain(links: Mapping[str, Iterable[Link]], a: str, b: str, rank: Callable[[str], int]) -> Chain | None:
    """The chain from `a` to `b` over these links (of each node, those to stronger ones); None where there is none.

    `rank` of a node: 0 is of the strongest kind.
    """
    graph = _graph(links, rank)
    if a not in graph or b not in graph:
        return None
    try:
        nodes: list[str] = nx.dijkstra_path(graph, a, b)
    except nx.NetworkXNoPath:
        return None
    steps = tuple(Step(one, other, graph[one][other]["link"]) for one, other in pairwise(nodes))
    return Chain(steps, max(steps, key=lambda step: max(rank(step.a), rank(step.b)), default=None))


def _graph(links: Mapping[str, Iterable[Link]], rank: Callable[[str], int]) -> nx.Graph[str]:
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(sorted(links))
    found = sorted((Link(*link), node) for node in links for link in links[node])
    for link, node in sorted(found, key=lambda pair: pair[0].seq, reverse=True):
        weight = 1 + _RANK_WEIGHT * max(rank(link.to), rank(node))
        graph.add_edge(link.to, node, link=link, weight=weight)  # the first evidence of a pair is told
    return graph
