"""What the log says of a tenant: the rules and policies in force, and how far its sources have been read.

In: settings. Out: what `control` holds, the progress of the journal's last frames. Never: a worker's state; a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml

from schemas.codec import decode_one
from streams.cli.failure import Failure
from streams.delivery.policies import Policies
from streams.documents import InvalidDocument
from streams.identity.policy import MergePolicy
from streams.identity.policy import Policies as MergePolicies
from streams.ingest.regroup import shard_of
from streams.journal.clock import ALL, EVENT_TOPICS
from streams.journal.frame import Frame, decode_frame
from streams.journal.tables import Tables
from streams.rules.book import EVERY_TENANT, Book, Compiled, Known
from streams.settings import Settings
from streams.topics import CONTROL, JOURNAL
from streams.worker.clients import read, registry_of
from streams.worker.control import first_of, journal_ends

_FRAMES_BACK = 500


@dataclass
class Law:
    """What `control` says: rules and policies (of delivery, of merging) in force, since when, and the source set."""

    book: Book
    policies: Policies
    merges: MergePolicies = field(default_factory=lambda: MergePolicies(Tables()))
    since: dict[tuple[str, str], int] = field(default_factory=dict)
    sources: tuple[str, ...] = ()

    def rule(self, tenant: str, name: str) -> tuple[Compiled, int]:
        """The rule of this name, and since when there is one. Raises Failure."""
        compiled = self.book.rule(tenant, name)
        if compiled is None:
            there = ", ".join(one.rule.rule for one in self.book.of(tenant)) or "none"
            raise Failure(f"no rule {name} is in force for {tenant}; in force: {there}")
        own = self.since.get((tenant, name), self.since.get((EVERY_TENANT, name), 0))
        return compiled, own


def law(settings: Settings) -> Law:
    """Reads `control` from its first record on. Raises BrokerUnavailable."""
    tables, registry = Tables(), registry_of(settings)
    found = Law(Book(tables, Known(settings.sources, settings.triggers)), Policies(tables))
    for record in sorted(read(settings, CONTROL, first_of(settings, CONTROL))):
        with suppress(ValueError, InvalidDocument):
            _take(found, decode_one(record.value, registry, "control"), record.time_ms)
    return found


def merge_policy(settings: Settings, tenant: str) -> MergePolicy:
    """The merge policy in force for the tenant. Raises BrokerUnavailable."""
    return law(settings).merges.of(tenant)


def _take(found: Law, control: Mapping[str, Any], time_ms: int) -> None:
    if control["kind"] == "rules":
        compiled = found.book.apply(control["tenant"], control["text"])
        found.since.setdefault((control["tenant"], compiled.rule.rule), time_ms)
    elif control["kind"] == "delivery":
        found.policies.apply(control["tenant"], control["text"])
    elif control["kind"] == "policy":
        found.merges.apply(control["tenant"], control["text"])
    elif control["kind"] == "sources":
        members = yaml.safe_load(control["text"])["sources"]
        found.sources = tuple(f"{member['topic']}/{member['partition']}" for member in members)


def progress(settings: Settings, tenant: str, members: Iterable[str], group: str) -> tuple[int, dict[str, int]]:
    """The furthest progress in the last frames of the tenant's journal, and that of each member of the group.

    Raises BrokerUnavailable.
    """
    shard = shard_of(tenant, settings.kafka.shards)
    found = reached(settings, shard, first_of(settings, JOURNAL)[shard], journal_ends(settings)[shard])
    wanted = [member for member in members if in_group(member, group)]
    return max(found.values(), default=0), {member: found.get(member, 0) for member in wanted}


def reached(settings: Settings, shard: int, first: int, end: int) -> dict[str, int]:
    """How far each source is read, by the last frames of a shard's journal that has these offsets.

    Raises BrokerUnavailable.
    """
    found: dict[str, int] = {}
    for record in read(settings, JOURNAL, {shard: max(first, end - _FRAMES_BACK)}):
        for member, time_ms in _reached(decode_frame(record.value)):
            found[member] = max(found.get(member, 0), time_ms)
    return found


def in_group(member: str, group: str) -> bool:
    """Whether this source, `topic/partition`, is of the group of sources."""
    topic = member.rpartition("/")[0]
    return topic.startswith(EVENT_TOPICS) if group == ALL else topic in group.split(",")


def _reached(frame: Frame) -> Iterator[tuple[str, int]]:
    times = frame.events.column("received_ms").to_pylist() + [entry.received_ms for entry in frame.entries]
    for part in frame.ranges:
        yield f"{part.topic}/{part.partition}", max(times, default=0)
    for told in frame.progress:
        yield f"{told.topic}/{told.partition}", told.time_ms
