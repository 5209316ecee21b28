"""The data's fault as a value: what became of one raw record.

In: nothing. Out: the three outcomes and the enumerated reasons. Never: exceptions; those are for our own faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from schemas.records import Reason

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """The record is good; `value` is what it holds."""

    value: T


@dataclass(frozen=True, slots=True)
class Dropped:
    """The record is good but not wanted (a duplicate, a heartbeat); `why` names the rule."""

    why: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The record is bad: it becomes one dead letter with this reason."""

    reason: Reason
    detail: str


Outcome = Kept[T] | Dropped | Rejected
