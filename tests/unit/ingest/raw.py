"""Raw records for tests of ingest: good ones of every topic, and bad ones of every kind.

In: what a test wants to differ. Out: records with framed Avro values. Never: a broker.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.codec import encode
from schemas.registry import LocalRegistry
from streams.ingest.align import Cut
from streams.ingest.intake import Intake
from streams.ingest.record import RawRecord
from streams.ingest.validate import Limits
from streams.journal.frame import Partition, Progress, RawRange

REGISTRY: Final = LocalRegistry()
TENANTS: Final = frozenset({"acme", "orchid", "panda"})
NOW_MS: Final = 1_790_000_000_000
APP: Final = Partition("events.raw.app", 0)
POS: Final = Partition("events.raw.pos", 0)
DELIVERIES: Final = Partition("deliveries", 0)
COMMANDS: Final = Partition("identity.commands", 0)
CONTROL: Final = Partition("control", 0)


def identity(kind: str, value: str, scope: str | None = None) -> dict[str, str | None]:
    """One id as a producer writes it."""
    return {"kind": kind, "scope": scope, "value": value}


def event(**changes: Any) -> bytes:
    """A good event, with changes."""
    record = {
        "event_id": "e-1",
        "tenant": "acme",
        "event_type": "page_view",
        "event_time": NOW_MS,
        "touchpoint": "app",
        "identities": [identity("uid", "u-1")],
    }
    return message("behaviour_event", record | changes)


def delivery(**changes: Any) -> bytes:
    """A good receipt, with changes."""
    record = {
        "delivery_id": "d-1",
        "tenant": "acme",
        "trigger_id": "t-1",
        "status": "sent",
        "channel": "sms",
        "time": NOW_MS,
        "detail": "",
    }
    return message("delivery", record | changes)


def command(**changes: Any) -> bytes:
    """A good identity command, with changes."""
    record = {
        "command_id": "c-1",
        "tenant": "acme",
        "kind": "link",
        "a": identity("uid", "u-1"),
        "b": identity("phone", "138 0013 8000"),
        "who": "li",
        "why": "asked for",
        "time": NOW_MS,
    }
    return message("identity_command", record | changes)


def control(**changes: Any) -> bytes:
    """A good rule set, with changes."""
    record = {
        "control_id": "k-1",
        "tenant": "acme",
        "kind": "rules",
        "name": "main",
        "version": 1,
        "text": "rules: []",
        "who": "li",
        "time": NOW_MS,
    }
    return message("control", record | changes)


def message(subject: str, record: dict[str, Any]) -> bytes:
    """The record framed as producers frame it."""
    return encode(subject, record, REGISTRY.id_of(subject))


def cut_of(*records: RawRecord) -> Cut:
    """A cut of these records, which stand in order."""
    ends: dict[Partition, int] = {}
    for record in records:
        ends[record.of] = record.offset + 1
    ranges = tuple(RawRange(*of, 0, end) for of, end in ends.items())
    last_ms = records[-1].time_ms if records else 0
    return Cut(list(records), ranges, tuple(Progress(*part.of, part.end, last_ms) for part in ranges), NOW_MS)


def stand(*values: tuple[Partition, bytes | None]) -> Cut:
    """A cut of these values, a millisecond apart."""
    offsets: dict[Partition, int] = {}
    records = []
    for at, (of, value) in enumerate(values):
        offset = offsets.setdefault(of, 0)
        offsets[of] += 1
        records.append(RawRecord(*of, offset, NOW_MS + at, b"key", value))
    return cut_of(*records)


def intake(shards: int = 1) -> Intake:
    """An intake for TENANTS with the default limits."""
    return Intake(REGISTRY, TENANTS, Limits(), shards)
