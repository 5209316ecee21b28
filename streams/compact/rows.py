"""The rows that there are as many of as ids, and how they are packed: nodes, links, persons and what stood beside.

In: rows as the changelog has them. Out: 48 bytes a node, some 35 a link. Never: a row that is not packed exactly.

A row names other nodes by their numbers. Ids of events that are UUIDs, or 32 hex digits, take 16 bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from struct import Struct
from typing import Any, NamedTuple

from streams.compact.cold import MEMBERS, OF_IDS, VISITS, Cold, ColdBesides, ColdTable, OnDemand
from streams.compact.keys import Hashes, Texts, raw_of
from streams.compact.shelves import Fixed, Loose
from streams.compact.tiered import MOST_AT_HAND, Form, Tiered

_NODE = Struct("<16s16sQq")
_SEQ = Struct("<Q")
_SEEN = Struct("<IqQBB")
_AMONG = Struct("<B")
_TEXT, _HEX, _UUID = range(3)
_BY_COMMAND = 4
_NUMBER_BYTES = 4
_IDS_A_PERSON = 4
"""About: tables with a row for each person, or for some of their events, have fewer rows at hand."""


class Node(NamedTuple):
    """What is known of a node: its person, its own hash, its place in order of first sight, the event time of that."""

    one_id: str
    node_id: str
    seq: int
    seen_ms: int


class Link(NamedTuple):
    """A link to the stronger node `to`; `by_command`: by an operator's word, so no policy can refuse it."""

    to: str
    event_id: str
    event_time_ms: int
    seq: int
    by_command: bool


class Beside(NamedTuple):
    """An event's ids after its strongest, with the event."""

    others: tuple[str, ...]
    event_id: str
    event_time_ms: int
    seq: int


class Ids:
    """The ids that the tables of one shard name, and these tables, each made when it is asked for.

    `cold`: where their rows are, if not all are in memory.
    """

    def __init__(self, most_at_hand: int = MOST_AT_HAND, cold: Cold | None = None) -> None:
        self._most = most_at_hand
        self._fewer = max(1, most_at_hand // _IDS_A_PERSON)
        self._nodes = Texts()
        self._persons = Hashes()
        self._cold = cold
        self._cold_tables: list[ColdTable[Any]] = []
        self._members: OnDemand[tuple[str, ...]] | None = None

    def cold_table(self, name: str) -> ColdTable[Any] | None:
        """A new table of this name; None where its rows are in memory. See `table`."""
        if self._cold is None or name not in OF_IDS:
            return None
        shaped = {"nodes": Node._make, "links": _links}.get(name, _plain)
        made = ColdBesides if name == "beside" else ColdTable
        most = self._most if name in ("nodes", "links") else self._fewer
        self._cold_tables.append(made(name, self._cold, most, shaped))
        return self._cold_tables[-1]

    def table(self, name: str) -> Tiered[Any] | None:
        """A new table of this name; None where its rows are not packed.

        `nodes`: node → Node. `links`: node → its Links. `persons`: one_id → founding seq.
        `beside`: strongest id → what stood on events beside it.
        """
        if name == "nodes":
            return Tiered(self._nodes, Fixed(_NODE.size), Form(_pack_node, _unpack_node, Node._make), self._most)
        if name == "links":
            return Tiered(self._nodes, Loose(), Form(self._pack_links, self._unpack_links, _links), self._most)
        if name == "persons":
            return Tiered(self._persons, Fixed(_SEQ.size), Form(_pack_seq, _unpack_seq), self._fewer)
        if name == "beside":
            return Tiered(self._nodes, Loose(), Form(self._pack_beside, self._unpack_beside), self._fewer)
        return None

    def members(self) -> Tiered[tuple[str, ...]]:
        """A table, of no changelog, for the nodes of each person by its one_id."""
        return Tiered(self._persons, Loose(), Form(self._pack_nodes, self._unpack_nodes), self._fewer)

    def cold_members(self) -> OnDemand[tuple[str, ...]] | None:
        """The same, filled with those that are known; None where the rows are in memory."""
        if self._cold is not None:
            cold = self._cold
            self._members = OnDemand(lambda one_id: tuple(cold.named(MEMBERS, one_id)) or None, self._fewer)
        return self._members

    def visits(self) -> Iterable[str]:
        """The nodes that stand for a part of a value's events, where the rows are not in memory."""
        return self._cold.named(VISITS, "") if self._cold is not None else ()

    def committed(self) -> None:
        """See `OnDemand`."""
        if self._members is not None:
            self._members.committed()

    def wipe(self, node: str) -> None:
        """Overwrites an id that was erased, and that no row names any more."""
        self._nodes.wipe(node)
        for table in self._cold_tables:
            table.forget()

    def _pack_links(self, row: Iterable[Link]) -> bytes:
        parts = []
        for to, event_id, at, seq, by_command in row:
            if not isinstance(by_command, bool):
                raise TypeError("by_command is no bool")
            parts.append(_seen(self._nodes.add(to), event_id, at, seq, _BY_COMMAND * by_command))
        return _some(b"".join(parts))

    def _unpack_links(self, packed: bytearray, at: int, end: int) -> tuple[Link, ...]:
        found = []
        while at < end:
            (number, event_id, time_ms, seq, flag), at = _unseen(packed, at)
            found.append(tuple.__new__(Link, (self._nodes.text(number), event_id, time_ms, seq, flag)))
        return tuple(found)

    def _pack_beside(self, row: Iterable[Beside]) -> bytes:
        parts = []
        for others, event_id, at, seq in row:
            parts += [_AMONG.pack(len(others)), self._pack_nodes(others), _seen(0, event_id, at, seq, 0)]
        return _some(b"".join(parts))

    def _unpack_beside(self, packed: bytearray, at: int, end: int) -> tuple[Beside, ...]:
        found = []
        while at < end:
            begin = at + _AMONG.size
            after = begin + _NUMBER_BYTES * packed[at]
            others = self._unpack_nodes(packed, begin, after)
            (_, event_id, time_ms, seq, _), at = _unseen(packed, after)
            found.append(Beside(others, event_id, time_ms, seq))
        return tuple(found)

    def _pack_nodes(self, nodes: Iterable[str]) -> bytes:
        return _some(array("I", map(self._nodes.add, nodes)).tobytes())

    def _unpack_nodes(self, packed: bytearray, at: int, end: int) -> tuple[str, ...]:
        return tuple(map(self._nodes.text, array("I", packed[at:end])))


def _pack_node(row: Node) -> bytes:
    one_id, node_id, seq, seen_ms = row
    return _NODE.pack(raw_of(one_id), raw_of(node_id), seq, seen_ms)


def _unpack_node(packed: bytearray, at: int, end: int) -> Node:
    one_id, node_id, seq, seen_ms = _NODE.unpack_from(packed, at)
    return tuple.__new__(Node, (one_id.hex(), node_id.hex(), seq, seen_ms))  # half of the time of Node(...)


def _plain(row: Any) -> Any:
    return row


def _links(row: Any) -> Any:
    return tuple(map(Link._make, row)) if isinstance(row, tuple) else row


def _pack_seq(seq: int) -> bytes:
    return _SEQ.pack(seq)


def _unpack_seq(packed: bytearray, at: int, end: int) -> int:
    seq: int = _SEQ.unpack_from(packed, at)[0]
    return seq


def _some(packed: bytes) -> bytes:
    if not packed:
        raise ValueError("an empty row")
    return packed


def _seen(number: int, event_id: str, time_ms: int, seq: int, flag: int) -> bytes:
    form, short = _short(event_id)
    return _SEEN.pack(number, time_ms, seq, form | flag, len(short)) + short


def _unseen(packed: bytearray, at: int) -> tuple[tuple[int, str, int, int, bool], int]:
    """What `_seen` packed, and where the next begins."""
    number, time_ms, seq, form, length = _SEEN.unpack_from(packed, at)
    begin = at + _SEEN.size
    end = begin + length
    event_id = _long(form & ~_BY_COMMAND, packed[begin:end])
    return (number, event_id, time_ms, seq, form >= _BY_COMMAND), end


def _short(event_id: str) -> tuple[int, bytes]:
    form = {32: _HEX, 36: _UUID}.get(len(event_id), _TEXT)
    if form != _TEXT:
        try:
            packed = raw_of(event_id.replace("-", "") if form == _UUID else event_id)
        except ValueError:
            return _TEXT, event_id.encode()
        if _long(form, packed) == event_id:
            return form, packed
    return _TEXT, event_id.encode()


def _long(form: int, packed: bytes | bytearray) -> str:
    if form == _TEXT:
        return packed.decode()
    text = packed.hex()
    return text if form == _HEX else "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
