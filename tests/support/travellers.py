"""What the slow interpreter of journeys goes by: rows, who travels, what was sent.

In: nothing. Out: types. Never: code of `streams`; a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.frames import Ev

MINUTE = 60_000
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


Row = Ev | Cut | Version | Failed


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


def time_of(event: Ev) -> int:
    return event.at if event.time is None else event.time


def ids_of(event: Ev) -> list[Id]:
    """The strongest first: a phone before an openid."""
    return sorted(event.ids, key=lambda id_: (id_[0] != "phone", id_))
