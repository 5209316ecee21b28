"""A match: a rule's condition became true for a person, and what has become of it since.

In: what a detector found. Out: its ids, and its row in table `matches`. Never: a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Any

SEPARATOR = "\x1f"


class Stage(StrEnum):
    """Where a match stands: to be decided (again), sent, sent and followed by what it was for, or over."""

    WAITING = "waiting"
    SENT = "sent"
    CONVERTED = "converted"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Match:
    """`cause`: what it is for, as it stands in its id: the order_id, else the anchor event, else node and window.

    `nodes`: the ids that the anchor event carried, the strongest first. `number`: its place among the matches that were
    decided, 0 before that. `tried`: the channels over which it went out, the last one at `sent_to`. `held`: fields of
    the anchor event that a journey will ask for. `left`: its journey was left, so nothing more is sent. The `rule` of a
    journey's step is `journey/step/version/owner`.
    """

    tenant: str
    rule: str
    cause: str
    business_key: str
    nodes: tuple[str, ...]
    anchor_ms: int
    due_ms: int
    events: tuple[str, ...]
    stage: Stage = Stage.WAITING
    number: int = 0
    tried: tuple[str, ...] = ()
    sent_to: str = ""
    held: tuple[tuple[str, Any], ...] = ()
    left: bool = False

    @property
    def name(self) -> str:
        """The rule's name, as its author knows it."""
        return self.rule.partition("/")[0]

    @property
    def key(self) -> str:
        """Its row and its timer."""
        return SEPARATOR.join((self.tenant, self.rule, self.cause))

    @property
    def waits(self) -> bool:
        """Whether it is to be decided (again)."""
        return self.stage is Stage.WAITING

    @property
    def sent(self) -> bool:
        """Whether something stands that was sent."""
        return self.stage in (Stage.SENT, Stage.CONVERTED)

    def step(self, attempt: int) -> str:
        """What this attempt is called: by the step of a journey, and a fallback to another channel by its number."""
        of_journey = self.rule.split("/")[1:2]
        return "/".join([*of_journey, *([f"fallback-{attempt}"] if attempt else [])])

    def trigger_id(self, attempt: int) -> str:
        """Derived from the cause, never from the person of the moment: the same cause gives the same id."""
        text = SEPARATOR.join((self.tenant, self.name, self.step(attempt), self.cause))
        return blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def row(self) -> tuple[Any, ...]:
        """As a table row."""
        return (
            *(self.business_key, self.nodes, self.anchor_ms, self.due_ms, self.events),
            *(self.stage.value, self.number, self.tried, self.sent_to),
            *([self.held, True] if self.left else [self.held] if self.held else []),
        )


def from_row(key: str, row: Sequence[Any]) -> Match:
    """The match of a table row."""
    business_key, nodes, anchor_ms, due_ms, events, stage, *more = row
    tenant, rule, cause = key.split(SEPARATOR, 2)
    return Match(tenant, rule, cause, business_key, nodes, anchor_ms, due_ms, events, Stage(stage), *more)
