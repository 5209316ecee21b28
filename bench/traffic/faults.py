"""Bad input: every reason for which ingest must refuse an event, and an event that earns it.

In: presences to borrow ids from. Out: refused events in an `Outbox`. Never: an event with two faults, or one that the
truth needs. Each carries the ids of two strangers, so that accepting it by mistake would merge them.
"""

import random
from collections.abc import Callable
from typing import Any, Final

from bench.traffic.ids import Wire
from bench.traffic.outbox import LONGEST_LAG_MS, Outbox
from bench.traffic.person import Presence
from bench.traffic.spec import TrafficSpec

BYTE_FAULTS: Final = {
    "wrong_magic": "not_framed",
    "unknown_schema_id": "unknown_schema_id",
    "truncated": "undecodable",
    "empty": "empty",
}
"""Fault that the player applies to the encoded event -> reason of its refusal."""

TOO_LARGE: Final = "too_large"
_YEAR_2099_MS: Final = 4_070_908_800_000
_YEAR_1970_MS: Final = 86_400_000
_LONG_VALUE: Final = {"note": "长" * 20_480}
_MANY_PROPERTIES: Final = {f"p{n:03d}": str(n) for n in range(150)}
# 2 MB of three-byte characters, while each value (8000) and their number (90) stay within their own limits.
_TWO_MEGABYTES: Final = {f"p{n:03d}": "大" * 8_000 for n in range(90)}
_CROWD: Final[list[Wire]] = [{"kind": "uid", "scope": None, "value": f"crowd{n}"} for n in range(200)]

Fields = dict[str, Any]
VALUE_FAULTS: Final[dict[str, Callable[[int], Fields]]] = {
    "unknown_tenant": lambda _: {"tenant": "no_such_brand"},
    "invalid_event_id": lambda _: {"event_id": ""},
    "invalid_event_type": lambda _: {"event_type": "Page View!"},
    "event_time_in_future": lambda n: {"event_time": _YEAR_2099_MS + n},
    "event_time_too_old": lambda n: {"event_time": _YEAR_1970_MS + n},
    "negative_amount": lambda n: _order(n) | {"amount_fen": -9_900},
    "too_many_identities": lambda _: {"identities": _CROWD},
    "too_many_properties": lambda _: {"properties": _MANY_PROPERTIES},
    "value_too_long": lambda _: {"properties": _LONG_VALUE},
    "control_characters": lambda n: _order(n) | {"order_id": f"BAD\x07{n:06d}"},
    TOO_LARGE: lambda _: {"properties": _TWO_MEGABYTES},
}
"""Reason -> the fields (of the n-th bad event) that earn it."""

REASONS: Final = (*BYTE_FAULTS.values(), *VALUE_FAULTS)


def write_faults(spec: TrafficSpec, outbox: Outbox, presences: list[Presence], count: int, rng: random.Random) -> None:
    """Every fault once, then all but the huge one in turn, `count` in sum if that is enough for one of each."""
    faults = [*BYTE_FAULTS, *VALUE_FAULTS]
    common = [fault for fault in faults if fault != TOO_LARGE]
    by_tenant = {t: [p for p in presences if p.tenant == t] for t in spec.tenants}
    for n in range(max(count, len(faults))):
        fault = faults[n] if n < len(faults) else common[n % len(common)]
        who = rng.choice(presences)
        stranger = rng.choice(by_tenant[who.tenant])
        received_ms = rng.randrange(who.from_ms, max(who.from_ms, spec.end_ms) + 1) + LONGEST_LAG_MS
        _write(outbox, fault, n, (who, stranger), received_ms)


def _write(outbox: Outbox, fault: str, n: int, pair: tuple[Presence, Presence], received_ms: int) -> None:
    """One bad event of two strangers together."""
    who, stranger = pair
    fields: Fields = {"identities": who.forms[0] + stranger.forms[0]}
    if fault in BYTE_FAULTS:
        outbox.refuse(BYTE_FAULTS[fault], who, received_ms, fields, fault)
    else:
        outbox.refuse(fault, who, received_ms, fields | VALUE_FAULTS[fault](n))


def _order(n: int) -> Fields:
    """A submission that would fire if it were accepted."""
    return {"event_type": "order_submitted", "order_id": f"BAD{n:06d}", "amount_fen": 99_000}
