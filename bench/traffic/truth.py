"""States what is true of a plan.

In: people with their presences, orders with their fates, the counts of an outbox. Out: a `Truth`.
Never: reads an event.
"""

from collections.abc import Iterable
from itertools import combinations

import networkx as nx

from bench.traffic.fates import FIRES, REVOKED, SUPPRESSED
from bench.traffic.orders import Order
from bench.traffic.outbox import Outbox
from bench.traffic.person import Person
from bench.traffic.spec import WEAK, Id, OrderKey, TrafficSpec, Truth


def truth_of(
    spec: TrafficSpec, people: list[Person], orders: list[Order], outbox: Outbox, browsing: tuple[int, int]
) -> Truth:
    """The truth of planned and browsing events together; `browsing` is (accepted, duplicates) of the latter."""
    by_tenant = {tenant: [p for p in people if p.tenant == tenant] for tenant in spec.tenants}
    return Truth(
        persons={tenant: [person.ids for person in group] for tenant, group in by_tenant.items()},
        sharing={tenant: sharing_of(group) for tenant, group in by_tenant.items()},
        evidence={tenant: evidence_of(group) for tenant, group in by_tenant.items()},
        fires=due_times(spec, orders),
        revoked=frozenset(order.key for order in orders if order.fate in REVOKED),
        suppressed={order.key: SUPPRESSED[order.fate] for order in orders if order.fate in SUPPRESSED},
        refused=outbox.refused.copy(),
        duplicates=outbox.duplicates + browsing[1],
        accepted=outbox.accepted + browsing[0],
        story=(people[0].tenant, people[0].slots["union"][2]),
    )


def due_times(spec: TrafficSpec, orders: Iterable[Order]) -> dict[OrderKey, int]:
    """Order -> due_ms of those that must fire."""
    return {order.key: order.submitted_ms + spec.wait_ms for order in orders if order.fate in FIRES}


def sharing_of(people: Iterable[Person]) -> list[frozenset[Id]]:
    """Components of ids that stand on one presence, in order of first appearance in the plan."""
    people = list(people)
    met = _met(people)
    for presence in (presence for person in people for presence in person.presences):
        met.add_edges_from((presence.ids[0], other) for other in presence.beside)
    return [frozenset(component) for component in nx.connected_components(met)]


def evidence_of(people: Iterable[Person]) -> list[frozenset[Id]]:
    """What sharing proves where weak ids may be several people's, see `Truth`."""
    met = _met(people)
    weak = {node for node in met if node[0] in WEAK}
    strong = {node: at for at, group in enumerate(nx.connected_components(_without(met, weak))) for node in group}
    for group in list(nx.connected_components(met.subgraph(weak))):
        beside = {strong[node] for one in group for node in met[one] if node in strong}
        if len(beside) > 1:
            met.remove_nodes_from(group)
    return [frozenset(component) for component in nx.connected_components(met)]


def _without(graph: "nx.Graph[Id]", nodes: set[Id]) -> "nx.Graph[Id]":
    return graph.subgraph(graph.nodes - nodes)


def _met(people: Iterable[Person]) -> "nx.Graph[Id]":
    """Ids that stand on one presence."""
    graph: nx.Graph[Id] = nx.Graph()
    for person in people:
        for presence in person.presences:
            graph.add_nodes_from(presence.ids)
            graph.add_edges_from(combinations(presence.ids, 2))
    return graph
