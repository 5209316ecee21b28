"""What a person did as far as one rule counts it, and the matches that are found in it.

In: nothing. Out: types, and how late an event may come. Never: state; a person.

A history is the entries of all nodes of a person. Each detector (`sequence`, `windows`, `interval`) is a pure function
from entries and marks to what is newly found; a mark says what has matched already, so that nothing matches twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.documents import DAY_MS

LATE_MS = 7 * DAY_MS
"""An event that comes later than this no longer makes a match: what counts is kept for a window and this."""

MOST = 500
"""So many events of one id count for one rule, the newest: more is a machine, which must not slow down the others."""


class Entry(NamedTuple):
    """An event that counts: when, for which of the rule's clauses, its id, its value, the node that it belongs to."""

    time_ms: int
    clause: int
    event_id: str
    value: str | int
    node: str


class Found(NamedTuple):
    """A match: what is its anchor, when it became true, the events that made it so, and what to mark."""

    anchor: Entry
    due_ms: int
    events: tuple[str, ...]
    mark_ms: int


Entries = Sequence[Entry]
