"""One person as ClickHouse knows them: ids, when and where they were seen, links with their evidence, held links, what
else became known.

In: a way to ask SQL; a one_id. Out: a `Person`. Never: a phone or an e-mail in full, which no table
has; a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sinks.statements import literal
from streams.cli.named import Ask
from streams.compact.rows import Link
from streams.identity.explain import Chain, explain
from streams.identity.policy import DEFAULT


class Id(NamedTuple):
    """An id of a person: its node, and as people read it; `one_id` is of whom it is today."""

    node: str
    kind: str
    scope: str
    value: str
    one_id: str
    seq: int

    @property
    def label(self) -> str:
        """As the commands take it, but masked."""
        return f"{self.kind}@{self.scope}:{self.value}" if self.scope else f"{self.kind}:{self.value}"


class Seen(NamedTuple):
    """When and where an id was seen: `events` belong to it; it may stand on others, under a stronger id."""

    events: int
    first_ms: int
    last_ms: int
    touchpoints: tuple[str, ...]


class Change(NamedTuple):
    """What became known of one or two nodes: linked, merged, refused, held, unlinked; `b` is "" where it is of one."""

    kind: str
    one_id: str
    into: str
    a: str
    b: str
    event_id: str
    time_ms: int
    reason: str
    seq: int

    @property
    def suspects(self) -> bool:
        """Whether it is a value that is held apart from everybody."""
        return self.kind == "held" and not self.b

    @property
    def pair(self) -> frozenset[str]:
        """Its two nodes, whichever comes first."""
        return frozenset((self.a, self.b))


@dataclass(frozen=True, slots=True)
class Person:
    """`ids` and `others` by node; others stand in changes of this person. `places`: the touchpoint of an event."""

    tenant: str
    one_id: str
    ids: Mapping[str, Id]
    others: Mapping[str, Id]
    seen: Mapping[str, Seen]
    links: tuple[Change, ...]
    changes: tuple[Change, ...]
    places: Mapping[str, str]

    @property
    def title(self) -> str:
        """Who it is, and how much is known of them."""
        held = f"{counted(len(self.ids), 'id')}, {counted(len(self.links), 'link')}"
        return f"person {self.one_id} of {self.tenant}: {held}"

    def label(self, node: str) -> str:
        """The node as people read it."""
        known = self.ids.get(node) or self.others.get(node)
        return known.label if known is not None else node

    def chain(self, a: str, b: str) -> Chain | None:
        """The shortest chain of evidence between two of the ids."""
        links: dict[str, list[Link]] = {node: [] for node in self.ids}
        for link in self.links:
            links[link.b].append(Link(link.a, link.event_id, link.time_ms, link.seq, False))
        return explain(links, a, b, lambda node: DEFAULT.ranks[self.ids[node].kind])


def read_person(ask: Ask, tenant: str, one_id: str) -> Person:
    """Everything that is known of the person. Raises as `ask`."""
    ids = {one.node: one for one in _ids(ask, tenant, _of(tenant, one_id)) if one.one_id == one_id}
    changes = _changes(ask, tenant, tuple(ids))
    others = {node for change in changes for node in (change.a, change.b)} - ids.keys() - {""}
    named = _ids(ask, tenant, f"node IN {literal(tuple(sorted(others)))}") if others else []
    links = tuple(_live(changes, ids))
    kept_apart = [change for change in changes if change.kind in ("refused", "held") and change.b]
    places, seen = _seen(ask, tenant, ids, links, kept_apart)
    told = tuple(change for change in changes if change.kind != "linked")
    return Person(tenant, one_id, ids, {one.node: one for one in named}, seen, links, told, places)


def _of(tenant: str, one_id: str) -> str:
    ever = f"SELECT node FROM siyu.identity_map WHERE tenant = {literal(tenant)} AND one_id = {literal(one_id)}"
    return f"node IN ({ever})"


def _ids(ask: Ask, tenant: str, chosen: str) -> list[Id]:
    newest = ", ".join(f"argMax({name}, seq)" for name in ("kind", "scope", "value", "one_id"))
    asked = f"SELECT node, {newest}, min(seq) AS first FROM siyu.identity_map"
    rows = ask(f"{asked} WHERE tenant = {literal(tenant)} AND {chosen} GROUP BY node ORDER BY first").rows
    return [Id(*row) for row in rows]


def _changes(ask: Ask, tenant: str, nodes: tuple[str, ...]) -> list[Change]:
    """Links, what is held today and other changes of these nodes, in order."""
    if not nodes:
        return []
    these = literal(nodes)
    chosen = f"WHERE tenant = {literal(tenant)} AND (node_a IN {these} OR node_b IN {these})"
    links = (
        f"SELECT 'linked', '', '', node_a, node_b, event_id, event_time_ms, '', seq FROM siyu.identity_links {chosen}"
    )
    columns = "kind, one_id, into_id, node_a, node_b, event_id, event_time_ms, reason, seq"
    others = f"SELECT {columns} FROM siyu.identity_changes {chosen}"
    about = "node_a, node_b, event_id, event_time_ms, reason, seq"
    held = f"SELECT 'held', '', '', {about} FROM siyu.identity_held {chosen}"
    found = [Change(*row) for asked in (links, held, others) for row in ask(asked).rows]
    return sorted(found, key=lambda change: change.seq)


def _live(changes: Iterable[Change], ids: Mapping[str, Id]) -> Iterable[Change]:
    """Links that hold today: the newest word on their pair, and both ends are of this person."""
    last = {change.pair: change for change in changes if change.b and change.kind != "merged"}
    return [change for change in last.values() if change.kind == "linked" and change.pair <= ids.keys()]


def _seen(
    ask: Ask, tenant: str, ids: Mapping[str, Id], links: Iterable[Change], kept_apart: Iterable[Change]
) -> tuple[dict[str, str], dict[str, Seen]]:
    """The touchpoint of each event that is evidence, and what is known of each id's sightings."""
    chosen = f"FROM siyu.events WHERE tenant = {literal(tenant)} AND node IN {literal(tuple(ids))}"
    times = "count(), min(event_time_ms), max(event_time_ms), arraySort(groupUniqArray(touchpoint))"
    told = ask(f"SELECT node, {times} {chosen} GROUP BY node").rows
    under = {node: Seen(number, first, last, tuple(where)) for node, number, first, last, where in told}
    events = tuple(sorted({link.event_id for link in links}))
    shown = ask(f"SELECT event_id, touchpoint {chosen} AND event_id IN {literal(events)}").rows if events else ()
    places = dict(shown)
    return places, {node: _with_evidence(node, under.get(node), links, kept_apart, places) for node in ids}


def _with_evidence(
    node: str, under: Seen | None, links: Iterable[Change], kept_apart: Iterable[Change], places: Mapping[str, str]
) -> Seen:
    """Also by events that showed it with ids of others, from which it was kept apart."""
    evidence = [link for link in links if node in link.pair and link.event_id in places]
    beside = [change.time_ms for change in kept_apart if node in change.pair]
    at = [link.time_ms for link in evidence] + beside + ([under.first_ms, under.last_ms] if under else [])
    where = {places[link.event_id] for link in evidence} | set(under.touchpoints if under else ())
    return Seen(under.events if under else 0, min(at, default=0), max(at, default=0), tuple(sorted(where)))


def apart(person: Person, other: Person) -> list[tuple[Person, Change]]:
    """What is known of pairs of an id of each, and of pairs of both with the same third id; with whose it is."""
    thirds = _met(person) & _met(other)
    direct = [change for change in person.changes if change.b and change.pair & other.ids.keys()]
    by_third = [(one, change) for one in (person, other) for change in one.changes if change.pair & thirds]
    return [*((person, change) for change in direct), *((one, change) for one, change in by_third if change.b)]


def _met(person: Person) -> set[str]:
    """Ids of others that were seen with one of this person's, and that did not become theirs."""
    return {node for change in person.changes if change.b for node in change.pair} - person.ids.keys()


def counted(number: int, what: str) -> str:
    """A number with its noun."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def moment(time_ms: int) -> str:
    """A time as people read it, in UTC; "" for none."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S") if time_ms else ""


def as_records(person: Person) -> list[dict[str, Any]]:
    """The person as JSON objects: itself, its ids, its links, what else became known."""
    whole = {"what": "person", "tenant": person.tenant, "one_id": person.one_id, "ids": len(person.ids)}
    ids = [_id_record(one, person.seen[node]) for node, one in person.ids.items()]
    links = [
        change_record(link, person) | {"touchpoint": person.places.get(link.event_id, "")} for link in person.links
    ]
    return [whole, *ids, *links, *(change_record(change, person) for change in person.changes)]


def _id_record(one: Id, seen: Seen) -> dict[str, Any]:
    return {
        "what": "id",
        "id": one.label,
        "node": one.node,
        "first_seen": moment(seen.first_ms),
        "last_seen": moment(seen.last_ms),
        "events": seen.events,
        "touchpoints": list(seen.touchpoints),
    }


def change_record(change: Change, person: Person) -> dict[str, Any]:
    """A change as a JSON object."""
    return {
        "what": change.kind,
        "a": person.label(change.a),
        "b": person.label(change.b) if change.b else None,
        "one_id": change.one_id or person.one_id,
        "into": change.into or None,
        "event_id": change.event_id,
        "time": moment(change.time_ms),
        "reason": change.reason,
    }
