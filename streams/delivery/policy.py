"""A tenant's delivery policy as its author writes it: YAML in, a checked and frozen specification out.

In: the text of a policy. Out: `DeliveryPolicy`, or `InvalidPolicy` with the place and the mend in one sentence.
Never: a verdict (see `decide`), a file.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from streams.delivery.caps import Cap
from streams.delivery.quiet import QuietHours
from streams.delivery.zones import zone
from streams.documents import (
    NAME,
    TYPE,
    Duration,
    EventType,
    EventTypes,
    InvalidDocument,
    MaybeEventTypes,
    Strict,
    parse,
)

_CLOCK = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)$")
ZONE_TRAIT = "zone"
"""The trait that says in which zone a person lives."""


class InvalidPolicy(InvalidDocument):
    """The policy text can't be taken; the message says where and why."""


def _minute(value: Any) -> Any:
    match = _CLOCK.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a time of day is HH:MM in quotes, such as "22:00"')
    return int(match[1]) * 60 + int(match[2])


def _known_zone(name: str) -> str:
    if zone(name) is None:
        raise ValueError(f"no zone is named {name}; one is named Asia/Shanghai")
    return name


Minute = Annotated[int, BeforeValidator(_minute)]
Percent = Annotated[float, Field(ge=0, le=100)]


class Quiet(Strict):
    """Quiet from this time of day on, until that one, in the zone of the person, else the tenant's."""

    since: Minute
    until: Minute

    @model_validator(mode="after")
    def _some_hours_are_left(self) -> Quiet:
        if self.since == self.until:
            raise ValueError("since and until are the same: nothing could ever be sent")
        return self

    @cached_property
    def hours(self) -> QuietHours:
        """As delivery asks it."""
        return QuietHours(self.since, self.until)


class CapSpec(Strict):
    """At most so many sends: `within` a rolling time, or `per` period of the calendar."""

    most: Annotated[int, Field(ge=1)]
    within: Duration | None = None
    per: Literal["day", "week", "month"] | None = None

    @model_validator(mode="after")
    def _one_way_to_count(self) -> CapSpec:
        if (self.within is None) == (self.per is None):
            raise ValueError("a cap has either within or per")
        return self

    @property
    def cap(self) -> Cap:
        """As delivery counts it."""
        return Cap(self.most, self.within or 0, self.per)


class ReplyWindow(Strict):
    """An interaction of the person that opens the channel, for how long (that instant included)."""

    event: EventType
    touchpoint: Annotated[str, Field(pattern=TYPE)] | None = None
    open_for: Duration


class ChannelSpec(Strict):
    """What holds for one channel. Without `reply_windows` it is always open."""

    cost_fen: Annotated[int, Field(ge=0)] = 0
    caps: tuple[CapSpec, ...] = ()
    reply_windows: tuple[ReplyWindow, ...] = ()
    needs_consent: bool = False
    consent_given_by: MaybeEventTypes = ()
    consent_withdrawn_by: MaybeEventTypes = ()

    @cached_property
    def counted(self) -> tuple[Cap, ...]:
        """Its caps."""
        return tuple(spec.cap for spec in self.caps)


class Trait(Strict):
    """What a person is: the newest value of this property of these events."""

    of: EventTypes
    property: Annotated[str, Field(min_length=1, max_length=256)]


class DeliveryPolicy(Strict):
    """One policy, of one tenant or for all that have none of their own."""

    delivery: Annotated[str, Field(pattern=NAME)]
    version: Annotated[int, Field(ge=1)]
    description: str = ""
    zone: Annotated[str, AfterValidator(_known_zone)] = "Asia/Shanghai"
    quiet_hours: Quiet | None = None
    holdout_percent: Percent = 0
    caps: tuple[CapSpec, ...] = ()
    channels: dict[Annotated[str, Field(pattern=TYPE)], ChannelSpec] = Field(default_factory=dict)
    traits: dict[Annotated[str, Field(pattern=TYPE)], Trait] = Field(default_factory=dict)

    @cached_property
    def counted(self) -> tuple[Cap, ...]:
        """The caps over all channels."""
        return tuple(spec.cap for spec in self.caps)

    @cached_property
    def at_home(self) -> ZoneInfo:
        """The tenant's zone."""
        return zone(self.zone) or ZoneInfo("UTC")

    def channel(self, name: str) -> ChannelSpec:
        """What holds for this channel; nothing in particular where the policy does not name it."""
        return self.channels.get(name, _FREE)


_FREE = ChannelSpec()
OPEN = DeliveryPolicy(delivery="open", version=1)
"""In force where a tenant has none: no quiet hours, no caps, everyone may be written to."""


def parse_policy(text: str) -> DeliveryPolicy:
    """The policy of this YAML text.

    Raises:
        InvalidPolicy: it is no YAML, or a field is missing, unknown or out of range.
    """
    return parse(DeliveryPolicy, text, InvalidPolicy)
