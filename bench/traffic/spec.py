"""The words of the traffic generator: what is asked for, what is sent, what is true.

In: nothing. Out: the records that all other modules here speak in, and the fixed names (sources, placeholders,
refusal reasons). Never: draws a number, reads a clock, or knows anything of the pipeline that it judges.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

Id = tuple[str, str, str]
"""(kind, scope or "", value), the value in normalised form."""

OrderKey = tuple[str, str]
"""(tenant, order_id)."""

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

START_MS: Final = 1_773_100_800_000
"""2026-03-10 08:00 in Beijing, as UTC milliseconds."""

BEIJING_OFFSET_MS: Final = 8 * HOUR
WEAK: Final = ("device_id", "cookie")
"""Kinds of id that several people may use."""

TOPIC_PREFIX: Final = "events.raw."
SOURCES: Final = (
    "miniprogram",
    "official_account",
    "wecom",
    "h5",
    "app",
    "live",
    "ads",
    "sms",
    "pos",
    "marketplace",
    "order",
)

HEARTBEAT: Final = "heartbeat"
HEARTBEAT_MS: Final = 5 * MINUTE
TAIL_HEARTBEAT_MS: Final = 10 * MINUTE
TAIL_MARGIN_MS: Final = 2 * HOUR

BLOCKED: Final = (
    *("0", "-1", "null", "anonymous", "'null'", '"null"', "'undefined'", "00000000"),
    *("+8613000000000", "+8613800000000"),
)
"""Values that stand for nobody, in normalised form; on events the phones also come as 13000000000 and 13800000000."""


@dataclass(frozen=True, slots=True)
class TrafficSpec:
    """What to generate. Equal specs give equal traffic, on any machine and in any process.

    `tills`: of each tenant, shops whose till types its own phone for every customer who shows a card. `recycled`: the
    chance that of two neighbours who could, one gives a phone back and the other gets it.
    """

    seed: int = 7
    people: int = 3000
    days: float = 3.0
    tenants: tuple[str, ...] = ("lumi_tea", "kape_coffee", "mori_baby")
    start_ms: int = START_MS
    partitions: int = 2
    events_per_person: float = 30.0
    min_amount_fen: int = 5000
    wait_ms: int = HOUR
    expiry_ms: int = DAY
    tills: int = 0
    recycled: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what the fates of orders could not be told apart in."""
        if not self.tenants or self.people <= len(self.tenants) or self.partitions < 1 or self.days <= 0:
            raise ValueError("traffic needs a tenant, a person per tenant and one more, a partition and some time")
        if self.wait_ms < MINUTE or self.expiry_ms < HOUR or self.min_amount_fen < 2:
            raise ValueError("traffic needs wait >= 1 min, expiry >= 1 h and min amount >= 2 fen")

    @property
    def end_ms(self) -> int:
        """Where planned life ends; late arrivals and the heartbeats of the tail come after it."""
        return self.start_ms + int(self.days * DAY)


@dataclass(frozen=True, slots=True)
class Sent:
    """One record as a broker would receive it. `event` (or a record of the topic's own kind, where it carries no
    events) is shared between records: read it, never change it.

    `fault` is "", "heartbeat" (event is None) or a fault that the player applies to the encoded bytes.
    """

    received_ms: int
    topic: str
    partition: int
    event: dict[str, Any] | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a perfect pipeline concludes from the traffic. Decided by the plan, never by replaying events.

    persons: tenant -> the ids of each true person that appear in accepted events (a shared device is in two).
    sharing: tenant -> components of ids that meet on accepted events, placeholders left out.
    evidence: the same, less what devices and browsers alone would join: a weak id stands with the strong ids of one
    component, or with none where it met several (it may be shared, so it proves nothing).
    fires: order -> due_ms of its one coupon trigger. revoked: those whose in-time payment came after the firing.
    suppressed: order -> why it was due and not sent. refused: reason -> events. story: (tenant, unionid).
    """

    persons: dict[str, list[frozenset[Id]]]
    sharing: dict[str, list[frozenset[Id]]]
    evidence: dict[str, list[frozenset[Id]]]
    fires: dict[OrderKey, int]
    revoked: frozenset[OrderKey]
    suppressed: dict[OrderKey, str]
    refused: Counter[str]
    duplicates: int
    accepted: int
    story: tuple[str, str]


def topic_of(source: str) -> str:
    """The raw topic of a source, as the contract names it."""
    return TOPIC_PREFIX + source
