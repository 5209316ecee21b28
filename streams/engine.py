"""The engine: a pure fold over the journal of one tenant shard. The agent, backtest and most tests run this page.

In: journal frames in order. Out: for each, the public records and the tables of its resolved frame.
Never: a clock, a random number, a file, the environment, the network. The same journal gives the same bytes, however
it is cut into frames and however often a frame comes again.

A row received at t tells that all received before t is in: the clock is t, what was due before t is settled, and then
the row is taken. So decisions follow from receive times alone, not from how records were batched or how often a
heartbeat came; and a payment that stands in the journal before the clock passes its deadline prevents, always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.frames import Resolved
from schemas.records import Reason
from streams.compact.cold import Unreadable
from streams.documents import InvalidDocument, loaded
from streams.engage.agenda import Engage, Public
from streams.facts import Facts, identity_records
from streams.identity.nodes import NOBODY, SEPARATOR, Evidence
from streams.identity.persons import Persons
from streams.identity.policy import DEFAULT, MergePolicy
from streams.journal.clock import ALL, Clock
from streams.journal.dedup import Dedup
from streams.journal.frame import REFUSAL, Entry, Frame, Partition
from streams.journal.rows import EventRow, Rows
from streams.journal.tables import Tables
from streams.poison import NOTHING, LeftOut, Poisoned, Tally, Told, letter_of, spot_of, without
from streams.rules.absence import Seen
from streams.rules.book import USUAL, Book, Known


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What the fold depends on beside the journal. `salt`: at most 64 bytes, makes node hashes unguessable.

    `most_faults` changes no output: it says how often our own code may raise before the fold stops.
    """

    salt: bytes
    dedup_window_ms: int = 86_400_000
    policy: MergePolicy = DEFAULT
    known: Known = USUAL
    most_faults: int = 20


@dataclass(frozen=True, slots=True)
class Outputs:
    """What came of one frame. `counts`: rows by outcome; `refused`: commands and controls not taken, and why."""

    resolved: Resolved
    public: list[Public]
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)


class Engine:
    """State and fold of one shard. After `step`, `tables.take_changes()` is what a commit must keep."""

    def __init__(self, shard: int, config: EngineConfig, tables: Tables) -> None:
        self.shard = shard
        self.tables = tables
        self.clock = Clock(tables)
        self.persons = Persons(tables, config.salt, config.policy)
        self.dedup = Dedup(tables, config.dedup_window_ms)
        self.book = Book(tables, config.known)
        self.engage = Engage(tables, self.persons, self.clock, self.book)
        self.tally = Tally(tables)
        for group in self.book.groups():
            self.clock.watch(group)

    def step(self, offset: int, frame: Frame, left_out: Told = NOTHING) -> Outputs:
        """Folds the journal frame at this offset, without the rows and timers that are to be left out.

        Raises:
            MissingRange: the journal has a gap; state is as it was before.
            Poisoned: our own code raised. State is half done: this engine is to be thrown away (see `isolate`).
        """
        clock, timers, dedup = self.clock, self.engage.timers, self.dedup
        marks = clock.begin(frame)
        self.engage.left_out = left_out
        facts = Facts(self.shard, offset, frame)
        counts: Counter[str] = Counter()
        refused: list[str] = []
        item: EventRow | Entry | LeftOut | None = None
        rows = Rows(frame, marks)
        try:
            for item in without(rows, frame.ranges, left_out) if left_out else rows:
                clock.row(item.received_ms)
                if timers.next_ms < clock.now or dedup.expires_ms < clock.now:
                    self._settle_time()
                if isinstance(item, EventRow):
                    counts[self._take_event(item, facts)] += 1
                elif isinstance(item, LeftOut):
                    counts["isolated"] += self._leave_out(item, frame)
                else:
                    counts["entries"] += 1
                    self._take_entry(item, facts, refused)
                if self.persons.facts:
                    self._note_identity(facts)
                if timers.next_ms < clock.now:
                    self._settle_time()
            item = None
            clock.end(frame)
            self._settle_time()
            self.dedup.end(offset)
            counts["repeated"] = frame.events.num_rows - sum(counts[taken] for taken in _TAKEN)
            return self._outputs(facts, counts, refused)
        except (Poisoned, MemoryError, Unreadable):
            raise
        except Exception as error:
            at = spot_of(item, frame.ranges) if isinstance(item, EventRow | Entry) else None
            raise Poisoned(at, error) from error

    def _leave_out(self, left: LeftOut, frame: Frame) -> bool:
        """Whether what was left out is an event."""
        tenant, letter = letter_of(left, frame.ranges)
        self.engage.public.append(Public("events.deadletter", tenant, "dead_letter", letter))
        self.tally.add(self.clock.now)
        return isinstance(left.item, EventRow)

    def _take_event(self, row: EventRow, facts: Facts) -> str:
        if not self.dedup.first(row.tenant, row.event_id, self.clock.now):
            return "duplicate"
        nodes = row.nodes
        if row.event_time_ms <= self.persons.erased.newest_ms:
            left = self.persons.unerased(row.nodes, row.event_time_ms)
            if left is None:
                return "erased"
            nodes = left
        node = self.persons.resolve(nodes, Evidence(row.event_id, row.event_time_ms)) if nodes else NOBODY
        facts.add(row.at, node)
        listening = self.engage.listening(row.tenant, row.event_type)
        if listening:
            usable = self.persons.usable(nodes)
            self.engage.on_event(listening, row.event(), Seen(row.event_id, row.event_time_ms, usable))
        return "accepted"

    def _settle_time(self) -> None:
        slowest_ms = self.clock.of(ALL)
        if slowest_ms > self.dedup.expires_ms:
            self.dedup.expire(slowest_ms)
        self.engage.on_clock()

    def _take_entry(self, entry: Entry, facts: Facts, refused: list[str]) -> None:
        """A refusal goes out as it is. Of commands, controls and receipts a second one with its id is a repeat."""
        record = entry.record
        if entry.kind == REFUSAL:
            self.engage.public.append(_letter(record))
            return
        if not self.dedup.first(record["tenant"], f"{entry.kind}\x1f{record[_ID_OF[entry.kind]]}", self.clock.now):
            return
        if entry.kind == "receipt":
            if self.engage.is_erased(record["trigger_id"]):
                return
            facts.delivery(record)
            self.engage.on_receipt(record)
            return
        why = self._control(record) if entry.kind == "control" else self._command(record)
        if why:
            self.engage.public.append(_letter(facts.dead_letter(entry, _REFUSED[entry.kind], why)))
            refused.append(f"{entry.kind} {record[_ID_OF[entry.kind]]}: {why}")

    def _control(self, record: Mapping[str, Any]) -> str:
        """Does what a control says; why not, where it can't."""
        try:
            if record["kind"] == "sources":
                self.clock.declare(_sources(record["text"]))
            elif record["kind"] == "rules":
                for group in self.engage.apply_rule(record["tenant"], record["text"]):
                    self.clock.watch(group)
            elif record["kind"] == "delivery":
                self.engage.apply_policy(record["tenant"], record["text"])
            elif record["kind"] == "policy":
                said = Evidence(record["control_id"], record["time"])
                self.persons.apply(record["tenant"], record["text"], said)
            else:
                return f"kind {record['kind']} is not known to this engine"
        except InvalidDocument as error:
            return str(error)
        return ""

    def _command(self, record: Mapping[str, Any]) -> str:
        """Does what a command says; why not, where it can't."""
        tenant, kind, said = record["tenant"], record["kind"], Evidence(record["command_id"], record["time"])
        a, b = (record[side] and _node(tenant, record[side]) for side in ("a", "b"))
        commands = self.persons.commands
        if kind == "erase":
            return commands.erase(tenant, a, said)
        held = {"release": commands.release, "reject": commands.reject}.get(kind)
        if held is not None:
            return held(tenant, a, b, said)
        act = {"link": commands.link, "unlink": commands.unlink}.get(kind)
        if act is None or b is None:
            return f"kind {kind} is not known to this engine"
        return act(tenant, a, b, said)

    def _note_identity(self, facts: Facts) -> None:
        """Identity changes go out where they happened: before the decisions that build on them."""
        changes = self.persons.take_facts()
        facts.identity(changes, self.persons.hash_of)
        self.engage.public.extend(Public("identity.changes", *change) for change in identity_records(changes))
        self.engage.on_identity(changes)

    def _outputs(self, facts: Facts, counts: Counter[str], refused: list[str]) -> Outputs:
        public, triggers, decisions = self.engage.take()
        facts.rows["triggers"], facts.rows["decisions"] = triggers, decisions
        facts.rows["journey_moves"] = self.engage.take_moves()
        facts.dead_letters(record for _, _, subject, record in public if subject == "dead_letter")
        return Outputs(facts.resolved(self.clock.now), public, counts, refused)


_TAKEN = ("accepted", "duplicate", "isolated", "erased")
_ID_OF = {"control": "control_id", "command": "command_id", "receipt": "delivery_id"}
_REFUSED = {"control": Reason.INVALID_CONTROL, "command": Reason.INVALID_COMMAND}


def _sources(text: str) -> list[tuple[Partition, int]]:
    members = loaded(text)["sources"]
    return [(Partition(member["topic"], member["partition"]), member.get("start", 0)) for member in members]


def _letter(record: Mapping[str, Any]) -> Public:
    """Under the key as it came, whose bytes need not be text."""
    key = (record["raw_key"] or b"").decode(errors="surrogateescape")
    return Public("events.deadletter", key, "dead_letter", dict(record))


def _node(tenant: str, identity: Mapping[str, Any]) -> str:
    return SEPARATOR.join((tenant, identity["kind"], identity["scope"] or "", identity["value"]))


def person_sets(engine: Engine) -> dict[str, frozenset[str]]:
    """Every person's nodes, by one_id: to compare with an oracle."""
    return {one_id: frozenset(nodes) for one_id, nodes in engine.persons.everyone().items()}
