"""A journal as one flat list of lines, in the words of semantics.md, for the oracle and for whoever renders it.

In: nothing. Out: types. Never: code of `streams`.
"""

from __future__ import annotations

from dataclasses import dataclass

Id = tuple[str, str, str]
"""Kind, scope ("" for none), value."""


@dataclass(frozen=True)
class RuleText:
    """A rule as far as the oracle needs it; times in milliseconds; channels are (name, kind, scope)."""

    name: str
    of: tuple[str, ...]
    within: int
    expires: int
    channels: tuple[tuple[str, str, str | None], ...]
    version: int = 1
    at_least: int | None = None
    waits_for: tuple[str, ...] = ()
    priority: int = 100
    after: str = "order_submitted"


@dataclass(frozen=True)
class Item:
    """A row of the journal. Before it is taken, every source in `read` has been read up to `received`."""

    received: int
    read: tuple[str, ...]


@dataclass(frozen=True)
class Event(Item):
    """An event out of this source."""

    source: str
    tenant: str
    id: str
    type: str
    time: int
    order: str | None = None
    fen: int | None = None
    ids: tuple[Id, ...] = ()


@dataclass(frozen=True)
class Declared(Item):
    """The source set from now on."""

    members: tuple[str, ...]


@dataclass(frozen=True)
class Applied(Item):
    """This rule is in force for the tenant ("*": all) from now on."""

    tenant: str
    rule: RuleText


@dataclass(frozen=True)
class Commanded(Item):
    """An operator linked two ids."""

    tenant: str
    ids: tuple[Id, Id]


@dataclass(frozen=True)
class Told:
    """Progress as (source, items of it that are not in yet, time): it counts where all of them are in."""

    progress: tuple[tuple[str, int, int], ...]


Line = Item | Told
