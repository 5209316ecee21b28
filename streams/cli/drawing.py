"""A person as a drawing: ids as boxes, links as lines, the founding id at the left.

In: a `Person`. Out: SVG text, the same for the same person. Never: a phone in full; a script; a font from elsewhere.

The shape is a tree of the shortest ways from the founding id; links beside it are dashed. Ids of others that were
refused or held stand below, in red. So is a value that is suspected; of its links, maybe thousands, none is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import NamedTuple

import networkx as nx

from streams.cli.person import Change, Person, counted, moment

_COLUMN, _ROW, _WIDTH, _HEIGHT, _EDGE, _HEAD = 370, 58, 250, 42, 24, 56
_LONGEST = 31
_STYLE = """
text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1c2733}
.small{font-size:10px;fill:#66727f}.head{font-size:14px;font-weight:600}
rect{fill:#eef4fb;stroke:#4a7fb5;rx:6}.first rect{fill:#d5e6f7;stroke-width:2}.other rect{fill:#fdf0ee;stroke:#b5544a}
path{fill:none;stroke:#7d8b99;stroke-width:1.4}.beside{stroke-dasharray:4 4}
.refused{stroke:#b5544a;stroke-dasharray:2 4}
"""


class _Place(NamedTuple):
    column: int
    row: float


def drawn(person: Person) -> str:
    """The drawing. Of a person without ids there is only a heading."""
    tree = _tree(person)
    places = _places(person, tree)
    refused = _refused(person)
    others = _others(person, refused, places)
    everyone = {**places, **others}
    lines = [*_links(person, tree, places), *(_line(one, everyone, "refused", one.reason) for one in refused)]
    boxes = [_box(person, node, place) for node, place in everyone.items()]
    width = _EDGE + _COLUMN * (1 + max((place.column for place in everyone.values()), default=0))
    height = _HEAD + _ROW * (1 + max((place.row for place in everyone.values()), default=0)) + _EDGE
    head = f'<text class="head" x="{_EDGE}" y="28">{escape(person.title)}</text>'
    size = f'width="{width}" height="{height:g}" viewBox="0 0 {width} {height:g}"'
    back = f'<path d="M0 0H{width}V{height:g}H0Z" style="fill:#fff;stroke:none"/>'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<style>{_STYLE}</style>",
            back,
            head,
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


def _suspects(person: Person) -> set[str]:
    return {change.a for change in person.changes if change.suspects}


def _refused(person: Person) -> list[Change]:
    """Pairs with others, by the last word on each, without those that are held for an id of this person."""
    pairs = {change.pair: change for change in person.changes if change.kind in ("refused", "held") and change.b}
    ours, suspects = person.ids.keys(), _suspects(person)
    return [change for pair, change in pairs.items() if pair - ours and pair.isdisjoint(suspects)]


def _tree(person: Person) -> nx.DiGraph[str]:
    """The shortest ways from the founding id; parts that nothing holds to it begin a tree of their own."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(person.ids)
    graph.add_edges_from((link.a, link.b) for link in sorted(person.links, key=lambda link: link.seq))
    tree: nx.DiGraph[str] = nx.DiGraph()
    for node in person.ids:
        if node not in tree:
            tree.add_node(node)
            tree.add_edges_from(nx.bfs_edges(graph, node))
    return tree


def _places(person: Person, tree: nx.DiGraph[str]) -> dict[str, _Place]:
    """Depth as column; leaves one below the other, and every id in the middle of those that hang on it."""
    places: dict[str, _Place] = {}
    free = 0.0
    for root in (node for node in person.ids if not tree.in_degree(node)):
        depth = nx.single_source_shortest_path_length(tree, root)
        for node in nx.dfs_postorder_nodes(tree, root):
            below = [places[child].row for child in tree.successors(node)]
            row = (min(below) + max(below)) / 2 if below else free
            free += not below
            places[node] = _Place(depth[node], row)
    return places


def _others(person: Person, refused: list[Change], places: Mapping[str, _Place]) -> dict[str, _Place]:
    """Ids of others, below all, each a column to the right of the id that it was seen with."""
    others: dict[str, _Place] = {}
    lowest = 1 + max((place.row for place in places.values()), default=-1)
    for change in refused:
        ours = places[change.a if change.a in places else change.b]
        node = change.b if change.a in places else change.a
        others.setdefault(node, _Place(ours.column + 1, lowest + len(others)))
    return others


def _links(person: Person, tree: nx.DiGraph[str], places: Mapping[str, _Place]) -> Iterator[str]:
    for link in person.links:
        kept = tree.has_edge(link.a, link.b) or tree.has_edge(link.b, link.a)
        yield _line(link, places, "" if kept else "beside", person.places.get(link.event_id, ""))


def _line(change: Change, places: Mapping[str, _Place], style: str, told: str) -> str:
    (left, upper), (right, lower) = sorted((places[change.a], places[change.b]))
    x, y = _EDGE + left * _COLUMN + _WIDTH, _HEAD + upper * _ROW + _HEIGHT / 2
    to_x, to_y = _EDGE + right * _COLUMN, _HEAD + lower * _ROW + _HEIGHT / 2
    if left == right:
        to_x += _WIDTH
    bend = (x + to_x) / 2 + (40 if left == right else 0)
    about = f"{change.kind} by {change.event_id} {moment(change.time_ms)} {told}"
    curve = f"M{x:g} {y:g}C{bend:g} {y:g} {bend:g} {to_y:g} {to_x:g} {to_y:g}"
    path = f'<path class="{style}" d="{curve}"><title>{escape(about)}</title></path>'
    if style == "refused":
        return path
    beside = left == right
    at_x, at_y, anchor = (x + 34, 4, "start") if beside else ((x + to_x) / 2, -5, "middle")
    middle = f'x="{at_x:g}" y="{(y + to_y) / 2 + at_y:g}" text-anchor="{anchor}"'
    return f'{path}<text class="small" {middle}>{escape(told)}</text>'


def _box(person: Person, node: str, place: _Place) -> str:
    x, y = _EDGE + place.column * _COLUMN, _HEAD + place.row * _ROW
    seen = person.seen.get(node)
    first = next(iter(person.ids), "")
    odd = node not in person.ids or node in _suspects(person)
    style = "other" if odd else "first" if node == first else ""
    label = person.label(node)
    short = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
    told = " · ".join(filter(None, (moment(seen.first_ms), counted(seen.events, "event")))) if seen else ""
    return (
        f'<g class="{style}" transform="translate({x:g} {y:g})"><title>{escape(label)}</title>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}"/><text x="10" y="18">{escape(short)}</text>'
        f'<text class="small" x="10" y="33">{escape(told or "of another person")}</text></g>'
    )
