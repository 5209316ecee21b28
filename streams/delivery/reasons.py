"""The reasons of decisions.

In: nothing. Out: words as they stand in `decisions.reason`. Never: a word that docs/rules.md does not explain.
"""

from __future__ import annotations

from enum import StrEnum


class Why(StrEnum):
    """Why it was sent, deferred, suppressed, revoked, converted or noted."""

    MATCHED = "matched"
    BEST_CHANNEL = "best_channel"
    HOLDOUT = "holdout"
    CONTROL = "control"
    EXPIRED = "expired"
    EXITED = "exited"
    RE_ENTRY = "re_entry"
    INSIDE = "inside"
    ENTRY_CAP = "entry_cap"
    NO_CONSENT = "no_consent"
    COOL_DOWN = "cool_down"
    QUIET_HOURS = "quiet_hours"
    BEST_HOUR = "best_hour"
    TOTAL_CAP = "total_cap"
    UNREACHABLE = "unreachable"
    OUTSIDE_REPLY_WINDOW = "outside_reply_window"
    CHANNEL_CAP = "channel_cap"
    FAILED = "failed"
    ENDED_BEFORE_SEND = "ended_before_send"
    ENDED_IN_TIME = "ended_in_time"
    ENDED_AFTER_SEND = "ended_after_send"
    CAP_EXCEEDED_BY_MERGE = "cap_exceeded_by_merge"
