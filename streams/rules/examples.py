"""Examples in a rule file: what is given, and what is to come of it.

In: the mappings under `examples`. Out: frozen examples with times in milliseconds. Never: a run of them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from schemas.records import ID_KINDS
from streams.documents import DAY_MS, TYPE, EventType, Strict

FIRST_DAY_MS = 1_685_548_800_000
"""1 June 2023, 00:00 in Shanghai: the first day of every example."""

_AT = re.compile(r"^(?:(\d{1,3})d )?([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{3}))?)?$")


def _time(value: Any) -> Any:
    match = _AT.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a time is HH:MM, HH:MM:SS or HH:MM:SS.mmm in quotes, on a later day "2d 08:00"')
    days, hours, minutes, seconds, ms = (int(part or 0) for part in match.groups())
    return FIRST_DAY_MS + days * DAY_MS + ((hours * 60 + minutes) * 60 + seconds) * 1_000 + ms


Time = Annotated[int, BeforeValidator(_time)]
IdKind = Annotated[str, Field(pattern=f"^({'|'.join(ID_KINDS)})$")]


class Given(Strict):
    """An event: received `at`, happened at `time` (the same where it is not said), of somebody with these ids.

    Or a `receipt`, on what was sent last before it.
    """

    at: Time
    event: EventType | None = None
    receipt: Literal["accepted", "sent", "opened", "clicked", "redeemed", "failed", "unsubscribed"] | None = None
    time: Time | None = None
    ids: dict[IdKind, str] = Field(default_factory=dict)
    touchpoint: Annotated[str, Field(pattern=TYPE)] = "app"
    scene: str | None = None
    channel: str | None = None
    campaign: str | None = None
    order_id: str | None = None
    amount_fen: Annotated[int, Field(ge=0)] | None = None
    item_id: str | None = None
    category: str | None = None
    properties: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of_both(self) -> Given:
        if (self.event is None) == (self.receipt is None):
            raise ValueError("it is either an event or a receipt")
        return self


class Expected(Strict):
    """A decision, as far as the example says."""

    verdict: str
    reason: str | None = None
    at: Time | None = None
    due: Time | None = None
    step: str | None = None
    channel: str | None = None
    recipient: str | None = None


class Example(Strict):
    """`given` in the order of receiving, then the clock goes on `until`: these decisions, and no others."""

    about: Annotated[str, Field(min_length=1)]
    given: tuple[Given, ...] = Field(min_length=1)
    until: Time
    expect: tuple[Expected, ...]

    @model_validator(mode="after")
    def _in_order(self) -> Example:
        times = [*(given.at for given in self.given), self.until]
        if times != sorted(times):
            raise ValueError("given stands in the order of at, and until is not before the last of them")
        return self
