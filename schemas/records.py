"""The public records as Python types, and the words that their enumerated fields may hold.

In: nothing. Out: typed records; field names and meaning as in the Avro files beside this module.
Never: encoding (see `codec`), validation (see `streams.ingest`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypedDict


class Reason(StrEnum):
    """Why a raw record was refused (`DeadLetter.reason`). Values are part of the public contract."""

    EMPTY = "empty"
    NOT_FRAMED = "not_framed"
    UNKNOWN_SCHEMA_ID = "unknown_schema_id"
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too_large"
    UNKNOWN_TENANT = "unknown_tenant"
    INVALID_EVENT_ID = "invalid_event_id"
    INVALID_EVENT_TYPE = "invalid_event_type"
    EVENT_TIME_IN_FUTURE = "event_time_in_future"
    EVENT_TIME_TOO_OLD = "event_time_too_old"
    NEGATIVE_AMOUNT = "negative_amount"
    TOO_MANY_IDENTITIES = "too_many_identities"
    TOO_MANY_PROPERTIES = "too_many_properties"
    VALUE_TOO_LONG = "value_too_long"
    CONTROL_CHARACTERS = "control_characters"
    INVALID_COMMAND = "invalid_command"
    INVALID_CONTROL = "invalid_control"
    INVALID_DELIVERY = "invalid_delivery"
    INTERNAL_FAULT = "internal_fault"


ID_KINDS: Final = (
    "uid",
    "unionid",
    "external_userid",
    "phone",
    "email",
    "member_card",
    "marketplace_id",
    "openid",
    "device_id",
    "cookie",
)
"""Identity kinds, strongest first."""

BY_HASH: Final = "node"
"""In a release or a reject, an id may be of this kind: its value is the hash of the node, as ClickHouse has it."""

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
"""Raw topics `events.raw.<source>` that exist by default."""


TRIGGERS: Final = ("coupon", "message", "lead")
"""Topics `triggers.<name>` that exist by default, for rules to send to."""


class Identity(TypedDict):
    """One id of a person: `scope` is its issuer (the appid of an openid), None where there is one issuer only."""

    kind: str
    scope: str | None
    value: str


class BehaviourEvent(TypedDict):
    """What a producer publishes to `events.raw.<source>`."""

    event_id: str
    tenant: str
    event_type: str
    event_time: int
    touchpoint: str
    scene: str | None
    channel: str | None
    campaign: str | None
    identities: list[Identity]
    order_id: str | None
    amount_fen: int | None
    item_id: str | None
    category: str | None
    referrer: Identity | None
    properties: dict[str, str]


class DeadLetter(TypedDict):
    """One refused record: why, where it came from, and its bytes as they came."""

    stage: str
    reason: str
    detail: str
    raw: bytes
    raw_key: bytes | None
    topic: str
    partition: int
    offset: int
    schema_id: int | None
    time: int


class Evidence(TypedDict):
    """The event that made an identity change true."""

    event_id: str
    event_time: int


class IdentityChange(TypedDict):
    """`kind`: linked, merged, refused, held, unlinked, erased. `into` is the surviving person of a merge."""

    tenant: str
    kind: str
    one_id: str
    into: str | None
    a: Identity
    b: Identity | None
    evidence: Evidence
    reason: str
    seq: int


class IdentityCommand(TypedDict):
    """`kind`: link, unlink, erase, release, reject."""

    command_id: str
    tenant: str
    kind: str
    a: Identity
    b: Identity | None
    who: str
    why: str
    time: int


class Control(TypedDict):
    """`kind`: rules, policy, sources. `text` is the whole YAML document. Tenant "*" addresses every shard."""

    control_id: str
    tenant: str
    kind: str
    name: str
    version: int
    text: str
    who: str
    time: int


class Trigger(TypedDict):
    """What a downstream sender acts on; see the contract for each field."""

    trigger_id: str
    tenant: str
    rule: str
    rule_version: int
    step: str
    one_id: str
    business_key: str
    due_time: int
    fired_time: int
    cause: list[str]
    channel: str
    recipient: Identity
    content: dict[str, str]
    expires_time: int
    arm: str
    late_sources: list[str]


class TriggerRevoked(TypedDict):
    """The trigger should not have been: `reason`, and the events that show it."""

    trigger_id: str
    tenant: str
    rule: str
    one_id: str
    business_key: str
    reason: str
    cause: list[str]
    revoked_time: int


class Decision(TypedDict):
    """`verdict`: sent, deferred, suppressed, revoked, converted."""

    trigger_id: str
    tenant: str
    rule: str
    rule_version: int
    step: str
    one_id: str
    business_key: str
    verdict: str
    reason: str
    arm: str
    due_time: int
    decided_time: int
    defer_until: int | None
    cause: list[str]
    late_sources: list[str]


class Delivery(TypedDict):
    """`status`: accepted, sent, opened, clicked, redeemed, failed, unsubscribed."""

    delivery_id: str
    tenant: str
    trigger_id: str
    status: str
    channel: str
    time: int
    detail: str


SUBJECTS: Final = (
    "behaviour_event",
    "dead_letter",
    "identity_change",
    "identity_command",
    "control",
    "trigger",
    "trigger_revoked",
    "decision",
    "delivery",
)
"""Every public subject; each has `schemas/avro/<subject>/v1.avsc`."""
