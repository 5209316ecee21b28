"""The names of all topics, and how each is made.

In: settings. Out: topics with partitions and configuration. Never: a call to the broker (see `worker.topics`).
"""

from __future__ import annotations

from typing import NamedTuple

from streams.settings import Settings

RAW = "events.raw."
DEADLETTER = "events.deadletter"
DELIVERIES = "deliveries"
COMMANDS = "identity.commands"
CONTROL = "control"
CHANGES = "identity.changes"
DECISIONS = "decisions"
TRIGGERS = "triggers."
REVOKED = "triggers.revoked"
COUPON = "triggers.coupon"
JOURNAL = "siyu.internal.journal"
RESOLVED = "siyu.internal.resolved"
CHANGELOG = "siyu.internal.changelog"

ENTRY_SUBJECTS = {DELIVERIES: "delivery", COMMANDS: "identity_command", CONTROL: "control"}
"""Raw topics that carry no events, and the schema of each."""

PUBLIC_SUBJECTS = {
    CHANGES: "identity_change",
    DECISIONS: "decision",
    REVOKED: "trigger_revoked",
    DEADLETTER: "dead_letter",
}

HEARTBEAT = "siyu-heartbeat"
"""Header of a raw record without a value: "all that I have to say up to this record's time has been said"."""

MAX_RECORD_BYTES = 8 * 1024 * 1024
"""The largest record that any of our topics takes; a raw record of that size still fits a dead letter."""


FRAME = "siyu-frame"
"""Header of what an engine writes to public topics and for the sink: `shard:offset` of the frame that it came of."""


class Topic(NamedTuple):
    """A topic to be: `config` in the broker's own terms."""

    name: str
    partitions: int
    config: dict[str, str]


def raw_topics(settings: Settings) -> list[str]:
    """Topics that ingest reads: events, receipts, commands, control."""
    return [*(RAW + source for source in settings.sources), *ENTRY_SUBJECTS]


def public_topics(settings: Settings) -> list[str]:
    """Topics that engines write for others, each with a partition for every shard."""
    return [DEADLETTER, CHANGES, DECISIONS, REVOKED, *(TRIGGERS + name for name in settings.triggers)]


def all_topics(settings: Settings) -> list[Topic]:
    """Every topic of the system, for these settings."""
    kafka = settings.kafka
    stamped = {"message.timestamp.type": "LogAppendTime" if kafka.timestamps == "append" else "CreateTime"}
    big = {"max.message.bytes": str(2 * MAX_RECORD_BYTES)}
    if kafka.timestamps == "create":
        stamped |= {"retention.ms": "-1"}  # simulated times are old: Kafka would delete records before they are read
    raw = [Topic(RAW + source, kafka.raw_partitions, big | stamped) for source in settings.sources]
    entries = [Topic(name, 1, big | stamped) for name in ENTRY_SUBJECTS]
    public = [Topic(name, kafka.shards, dict(big)) for name in public_topics(settings)]
    internal = [
        Topic(JOURNAL, kafka.shards, big | _kept(kafka.journal_days)),
        Topic(RESOLVED, kafka.shards, big | _kept(kafka.resolved_days)),
    ]
    changelog = Topic(CHANGELOG, kafka.shards, big | {"cleanup.policy": "delete"} | _kept(0))
    return [*raw, *entries, *public, *internal, changelog]


def _kept(days: int) -> dict[str, str]:
    """For so long, however much it is: a cluster may limit the size of topics that say nothing of it."""
    return {"retention.ms": str(days * 86_400_000 or -1), "retention.bytes": "-1"}
