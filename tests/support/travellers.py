"""What the slow interpreter of journeys goes by: rows, who travels, what was sent.

In: nothing. Out: types. Never: code of `streams`; a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.frames import Ev

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
CHANNELS = (("mini", "openid"), ("sms", "phone"))
"""In the order in which they are tried, each with the kind of id that it needs."""
Text = dict[str, Any]
"""A journey in plain words; times in milliseconds. Its steps have `name`, one of the kinds, and `then`."""
Id = tuple[str, str, str]


@dataclass(frozen=True)
class Cut:
    """An operator unlinks two ids."""

    at: int
    a: Id
    b: Id


@dataclass(frozen=True)
class Version:
    """A journey is put in force."""

    at: int
    text: Text


@dataclass(frozen=True)
class Failed:
    """A sender could not deliver a message: of this journey and step, begun by this event, at this attempt."""

    at: int
    rule: str
    step: str
    event: str
    attempt: int


@dataclass(frozen=True)
class Answered:
    """The person opened, clicked or redeemed that attempt, at this time."""

    at: int
    rule: str
    step: str
    event: str
    attempt: int
    status: str
    time: int


Row = Ev | Cut | Version | Failed | Answered


@dataclass
class Traveller:
    """One run. `begun`: by which event; `at`: number of the step; `letter`: when its message is decided, if any."""

    text: Text
    begun: Ev
    entered: int
    at: int = -1
    since: int = 0
    until: int = 0
    path: dict[str, str] = field(default_factory=dict)
    letter: int | None = None
    left: str = ""

    @property
    def step(self) -> Text:
        """Where it stands."""
        found: Text = self.text["steps"][self.at]
        return found


@dataclass
class Sent:
    """Something sent, to which id; a purchase converts it once."""

    whose: Traveller
    step: str
    due: int
    to: Id
    version: int
    text: Text
    attempt: int = 0
    channels: tuple[str, ...] = ()
    state: str = "sent"
    again: int = 0

    @property
    def message(self) -> tuple[str, str, str, int]:
        """What receipts call its last attempt."""
        return self.text["rule"], self.step, self.whose.begun.id, self.attempt


def time_of(event: Ev) -> int:
    return event.at if event.time is None else event.time


def ids_of(event: Ev) -> list[Id]:
    """The strongest first: a phone before an openid."""
    return sorted(event.ids, key=lambda id_: (id_[0] != "phone", id_))


def persons_of(events: Sequence[Ev], cuts: Sequence[Cut]) -> list[set[Id]]:
    """Who is one person after these events: each id of one with its strongest, but for pairs that were cut."""
    apart = {frozenset((one.a, one.b)) for one in cuts}
    persons: list[set[Id]] = []
    for event in events:
        strongest = ids_of(event)[0]
        for other in ids_of(event):
            together = {other} if frozenset((strongest, other)) in apart else {strongest, other}
            for one in ({strongest}, together):
                joined = [person for person in persons if person & one]
                persons = [person for person in persons if not person & one] + [one.union(*joined)]
    return persons


def asked(text: Text, step: str, what: str) -> Any:
    """What the message of this step asks of delivery, else the journey."""
    (emit,) = [one["emit"] for one in text["steps"] if one["name"] == step]
    return emit[what] or text[what]
