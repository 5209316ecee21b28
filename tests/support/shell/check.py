"""Every end that a cluster can come to; and what is wrong with a world at its end, if anything is.

In: a cluster. Out: ends with the stories of how they came about; sentences. Never: a look at how the model came to it:
an end is compared with a plain fold of the journal that stands there.
"""

from __future__ import annotations

import gc
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from schemas.frames import decode_resolved
from sinks.ledger import TABLE
from sinks.memory import MemorySink
from sinks.rollups import TOUCHPOINT_MINUTE
from sinks.writer import BlockWriter
from streams.journal.clock import Clock, MissingRange
from streams.journal.frame import Entry, Frame, Partition, decode_frame
from streams.journal.rows import EventRow, Rows
from streams.journal.tables import Tables
from streams.topics import CHANGELOG, DEADLETTER, JOURNAL, RESOLVED
from streams.worker.state.changelog import Assembler
from streams.worker.state.store import Position
from tests.support.shell.cluster import Cluster
from tests.support.shell.folds import Fold, Folded, folded, packed
from tests.support.shell.world import NOTHING, Kept, World, after


class End(NamedTuple):
    """What it came to, and a shortest story of how."""

    cluster: Cluster
    story: list[str]


def every_end(cluster: Cluster) -> Iterator[End]:
    """Every end that can be reached by any choice at every moment, those with the shortest stories first."""
    gc.disable()  # half of the time otherwise: there are very many values, and no cycles
    try:
        yield from _every_end(cluster)
    finally:
        gc.enable()


def _every_end(cluster: Cluster) -> Iterator[End]:
    came: dict[Hashable, tuple[Hashable, str]] = {cluster.key(): (None, "")}
    waiting = deque([(cluster.key(), cluster)])
    while waiting:
        here, now = waiting.popleft()
        moves = now.moves()
        if all(move.is_fault for move in moves):
            yield End(now, _story(came, here))
        for move in moves:
            then = now.copy()
            then.take(move)
            key = then.key()
            if key not in came:
                came[key] = (here, move.says)
                waiting.append((key, then))


def _story(came: Mapping[Hashable, tuple[Hashable, str]], key: Hashable) -> list[str]:
    story: list[str] = []
    while key is not None:
        key, says = came[key]
        story.append(says)
    return story[-2::-1]


def journal_of(world: World) -> list[bytes]:
    """All frames of the journal."""
    return [found.value for found in world.kafka.everything(JOURNAL)]


def wrong_outputs(world: World, fold: Fold, *, once: bool = True) -> str:
    """What is wrong with what readers of committed records see, "" where nothing is.

    It must be what a plain fold of the journal gives, byte for byte; where it need not be `once`, as a set.
    """
    expected = _by_topic(folded(fold, journal_of(world)))
    for topic in sorted({*expected, *world.kafka.logs} - {JOURNAL, CHANGELOG, DEADLETTER}):
        got, wanted = Counter(found.value for found in world.kafka.committed(topic)), expected[topic]
        if got != wanted if once else set(got) != set(wanted):
            return f"{topic}: {(wanted - got).total()} are lost, {(got - wanted).total()} are too many"
    return ""


def _by_topic(expected: Folded) -> dict[str, Counter[bytes]]:
    values: dict[str, Counter[bytes]] = defaultdict(Counter)
    values[RESOLVED].update(expected.resolved)
    for topic, value in expected.public:
        values[topic][value] += 1
    return values


def wrong_state(world: World, fold: Fold) -> str:
    """What is wrong with the changelog, a snapshot or a store, "" where nothing is."""
    journal = journal_of(world)
    restored = _restored(world)
    if restored.position.journal != len(journal):
        return f"the changelog ends at frame {restored.position.journal} of {len(journal)}"
    stores = {f"the store of {owner}": kept[-1] for owner, kept in world.disks.items() if kept}
    snapshots = {f"snapshot {at}": kept for at, kept in enumerate(world.snapshots)}
    for name, kept in {"the changelog": restored, **stores, **snapshots}.items():
        if kept.rows != folded(fold, journal[: kept.position.journal]).rows:
            return f"{name} is not the state after frame {kept.position.journal}"
    return ""


def _restored(world: World) -> Kept:
    """What an owner with an empty disk would restore."""
    snapshots = [kept for kept in world.snapshots if kept.position.changelog >= world.kafka.starts.get(CHANGELOG, 0)]
    kept = max([NOTHING, *snapshots], key=lambda one: one.position.changelog)
    assembler = Assembler()
    for found in world.kafka.committed(CHANGELOG, kept.position.changelog):
        commit = assembler.add(found.value)
        if commit is not None:
            kept = after(kept, packed(commit.changes), Position(commit.journal, found.offset + 1))
    return kept


def wrong_facts(world: World, resolved: Iterable[bytes]) -> str:
    """What is wrong with facts and roll-ups: they must be what one writer makes of these frames, undisturbed."""
    undisturbed = MemorySink()
    BlockWriter(undisturbed, 0).write(map(decode_resolved, resolved))
    got, wanted = _facts(world.facts), _facts(undisturbed)
    return "" if got == wanted else f"facts: {(wanted - got).total()} are lost, {(got - wanted).total()} are too many"


def _facts(sink: MemorySink) -> Counter[tuple[Any, ...]]:
    """Rows of all tables; roll-ups as one row for each event that they count and each fen."""
    facts: Counter[tuple[Any, ...]] = Counter()
    for table in sink.batches.keys() - {TABLE}:
        for row in sink.rows(table):
            sums = {name: row.pop(name) for name in ("events", "amount_fen") if table == TOUCHPOINT_MINUTE}
            about = table, *(repr(value) for name, value in row.items() if name != "block")
            for name, value in sums.items() or [("", 1)]:
                facts[*about, name] += value
    return facts


def wrong_journal(world: World) -> str:
    """What is wrong with what an engine takes of the journal: each raw record once, each partition's in its order."""
    try:
        taken = _taken(map(decode_frame, journal_of(world)))
    except MissingRange as missing:
        return str(missing)
    for part, records in world.raw.items():
        if taken[part] != [record.offset for record in records]:
            return f"of {part.topic} the engine takes {taken[part]}"
    return ""


def _taken(journal: Iterable[Frame]) -> Mapping[Partition, list[int]]:
    """Raw offsets by partition in the order in which an engine takes them. Raises MissingRange."""
    clock = Clock(Tables())
    taken: dict[Partition, list[int]] = defaultdict(list)
    for frame in journal:
        for row in Rows(frame, clock.begin(frame)):
            source, offset = _place(row)
            taken[frame.ranges[source].of].append(offset)
        clock.end(frame)
    return taken


def _place(row: EventRow | Entry) -> tuple[int, int]:
    """The index of the row's range, and its raw offset."""
    if isinstance(row, Entry):
        return row.source, row.raw_offset
    events = row.frame.events
    return events.column("source")[row.at].as_py(), events.column("raw_offset")[row.at].as_py()
