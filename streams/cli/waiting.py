"""Which rules wait for a source that is behind, since when, and what to do about it.

In: the rules and the source set that `control` says, the progress of each shard's journal. Out: findings of the doctor.
Never: how many wait: that is a worker's metric, `siyu_waits_held`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from streams.cli.inforce import in_group, law, reached
from streams.delivery.policies import Policies
from streams.explain.case import length, wall
from streams.ingest.regroup import shard_of
from streams.journal.clock import EVENT_TOPICS
from streams.rules.book import Book, Compiled
from streams.settings import Settings
from streams.topics import JOURNAL
from streams.worker.control import first_of, journal_ends
from streams.worker.preflight import Finding

LATE_MS = 600_000
"""A source that is further behind the furthest one than this is told of."""


class Waiting(NamedTuple):
    """A rule of a tenant that waits for sources of this group; not for ever, if it has patience."""

    tenant: str
    rule: str
    group: str
    patient: bool


def waits(settings: Settings) -> Iterator[Finding]:
    """Who waits for which source. Raises BrokerUnavailable."""
    found, firsts, ends = law(settings), first_of(settings, JOURNAL), journal_ends(settings)
    told: list[Finding] = []
    for shard in sorted(firsts):
        tenants = [tenant for tenant in settings.tenants if shard_of(tenant, settings.kafka.shards) == shard]
        waiting = [one for tenant in tenants for one in waiting_rules(tenant, found.book)]
        if waiting:
            progress = reached(settings, shard, firsts[shard], ends.get(shard, 0))
            told += behind(waiting, found.sources, progress, found.policies)
    yield from told
    if not told:
        yield Finding("waits", True, f"no rule waits for a source that is more than {length(LATE_MS)} behind")


def waiting_rules(tenant: str, book: Book) -> Iterator[Waiting]:
    """The tenant's rules that wait for what sources may bring."""
    for compiled in book.of(tenant):
        yield from (Waiting(tenant, compiled.rule.rule, *group) for group in sorted(_groups(compiled)))


def _groups(compiled: Compiled) -> set[tuple[str, bool]]:
    absence, course = compiled.rule.when.absence, compiled.course
    found = set() if absence is None else {(compiled.group, absence.patience is not None)}
    return found | ({(course.group, False)} if course is not None and course.awaited else set())


def behind(
    waiting: Sequence[Waiting], sources: Iterable[str], progress: Mapping[str, int], policies: Policies
) -> Iterator[Finding]:
    """Each source that is behind the furthest one, with the rules that wait for it; times are of the first tenant."""
    now_ms = max(progress.values(), default=0)
    for source in sorted(sources):
        held = [one for one in waiting if in_group(source, one.group)]
        read_ms = progress.get(source, 0)
        if held and now_ms - read_ms > LATE_MS:
            since = "not heard of lately"
            if read_ms:
                home = policies.of(held[0].tenant).at_home
                since = f"since {wall(read_ms, home)}, {length(now_ms - read_ms)} behind"
            names = ", ".join(dict.fromkeys(f"{one.rule} ({one.tenant})" for one in held))
            short, good = source.removeprefix(EVENT_TOPICS), all(one.patient for one in held)
            yield Finding("waits", good, f"{names}: waiting for {short}, {since}. {_MEND[good]}")


_MEND = {
    False: "Mend that source or its ingest; else take it out of the rule's waits_for, or give the rule patience. "
    "`siyu explain` shows one case, siyu_waits_held counts them",
    True: "It goes on without when its patience is over",
}
