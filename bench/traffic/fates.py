"""What becomes of an order, and what follows from it for the coupon rule.

In: nothing. Out: the fates, how often each occurs, and their consequence. Never: looks at an event.
"""

from enum import Enum, auto
from typing import Final

from bench.traffic.spec import HOUR, TrafficSpec


class Fate(Enum):
    """One story of an order; in time means at or before submitted + wait."""

    NEVER_PAID = auto()
    PAID = auto()
    CANCELLED = auto()
    PAID_AT_DEADLINE = auto()
    PAID_LATE = auto()
    PAYMENT_ARRIVED_LATE = auto()
    PAYMENT_ARRIVED_FIRST = auto()
    PAID_BEFORE_SUBMITTED = auto()
    PAID_BY_FRIEND = auto()
    PAID_UNDER_UNLINKED_ID = auto()
    PAID_ELSEWHERE = auto()
    SUBMISSION_ARRIVED_LATE = auto()
    SUBMISSION_ARRIVED_EXPIRED = auto()
    BELOW_MIN_AMOUNT = auto()
    JUST_BELOW_MIN_AMOUNT = auto()
    AT_MIN_AMOUNT = auto()
    SUBMISSION_REPEATED = auto()
    SUBMITTED_TWICE = auto()
    UNREACHABLE = auto()


FIRES: Final = frozenset(
    {
        Fate.NEVER_PAID,
        Fate.PAID_LATE,
        Fate.PAYMENT_ARRIVED_LATE,
        Fate.SUBMISSION_ARRIVED_LATE,
        Fate.AT_MIN_AMOUNT,
        Fate.SUBMISSION_REPEATED,
        Fate.SUBMITTED_TWICE,
    }
)
REVOKED: Final = frozenset({Fate.PAYMENT_ARRIVED_LATE})
SUPPRESSED: Final = {Fate.SUBMISSION_ARRIVED_EXPIRED: "expired", Fate.UNREACHABLE: "unreachable"}

# Fates of buyers who can be reached, by weight; the unreachable have their own people.
WEIGHTS: Final = {
    Fate.NEVER_PAID: 15,
    Fate.PAID: 34,
    Fate.CANCELLED: 6,
    Fate.PAID_AT_DEADLINE: 3,
    Fate.PAID_LATE: 6,
    Fate.PAYMENT_ARRIVED_LATE: 5,
    Fate.PAYMENT_ARRIVED_FIRST: 3,
    Fate.PAID_BEFORE_SUBMITTED: 2,
    Fate.PAID_BY_FRIEND: 4,
    Fate.PAID_UNDER_UNLINKED_ID: 4,
    Fate.PAID_ELSEWHERE: 5,
    Fate.SUBMISSION_ARRIVED_LATE: 4,
    Fate.SUBMISSION_ARRIVED_EXPIRED: 2,
    Fate.BELOW_MIN_AMOUNT: 3,
    Fate.JUST_BELOW_MIN_AMOUNT: 1,
    Fate.AT_MIN_AMOUNT: 2,
    Fate.SUBMISSION_REPEATED: 3,
    Fate.SUBMITTED_TWICE: 3,
}

SAFE_MS: Final = 6 * HOUR
"""Nothing that would change the outcome is received within this time after a deadline."""

LONG_MS: Final = 5 * HOUR
"""How far beyond the safe distance late things may lie."""


def span_ms(fate: Fate, spec: TrafficSpec) -> int:
    """How long after its submission the last event of such an order may be received."""
    if fate is Fate.SUBMISSION_ARRIVED_EXPIRED:
        return spec.wait_ms + spec.expiry_ms + LONG_MS
    if fate in (Fate.PAID, Fate.PAID_LATE, Fate.PAYMENT_ARRIVED_LATE, Fate.PAID_UNDER_UNLINKED_ID):
        return spec.wait_ms + SAFE_MS + LONG_MS
    if fate is Fate.SUBMISSION_ARRIVED_LATE:
        return spec.wait_ms + LONG_MS
    return spec.wait_ms
