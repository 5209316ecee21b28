"""Owners that start, go on, stop, die and come back, in any order: who does what next is chosen from outside.

In: seats for owners, raw records to come, how many faults may happen. Out: the moves that there are at each moment.
Never: a choice of its own.

To stop an owner and let it go on later, as a zombie, needs no move: one just doesn't choose it for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from streams.journal.frame import Partition
from tests.support.shell.engine import Engine
from tests.support.shell.ingest import Twin
from tests.support.shell.lane import Lane
from tests.support.shell.steps import Died, Process, Step, started
from tests.support.shell.world import World

Coming = Mapping[Partition, tuple[tuple[bytes | None, int], ...]]
"""Raw records by partition: value, and how long it is after whatever came before it, in milliseconds."""


class Move(NamedTuple):
    """Something that may happen next; a fault uses up one of those that are left."""

    says: str
    do: Callable[[Cluster], None]
    is_fault: bool = False


@dataclass
class Cluster:
    """The world, who lives in it, and how many faults are left.

    `seats` are owners by role. There is always one of each role who works, and a second one beside it is a fault; in
    roles that are kept `apart`, it only comes when the first one is dead.
    """

    seats: Mapping[str, tuple[Lane | Twin, ...]]
    faults: int = 0
    coming: Coming = field(default_factory=dict)
    apart: frozenset[str] = frozenset()
    world: World = field(default_factory=World)
    alive: dict[Lane | Twin, Process] = field(default_factory=dict)

    def copy(self) -> Cluster:
        """Another cluster in the same state."""
        return Cluster(self.seats, self.faults, self.coming, self.apart, self.world.copy(), dict(self.alive))

    def key(self) -> Hashable:
        """Equal for clusters in the same state."""
        return self.faults, self.world.key(), frozenset(self.alive.items())

    def settle(self) -> None:
        """From now on nothing goes wrong, until nobody has anything left to do."""
        self.faults = 0
        while moves := self.moves():
            self.take(moves[0])

    def take(self, move: Move) -> None:
        """What was chosen happens."""
        self.faults -= move.is_fault
        move.do(self)

    def moves(self) -> list[Move]:
        """What may happen next. Where none is left but faults, all has come to its end."""
        return [move for move in self._moves() if self.faults or not move.is_fault]

    def _moves(self) -> Iterator[Move]:
        for owner, process in self.alive.items():
            if process.step.ready(self.world):
                yield Move(f"{owner.owner} {process.step.does}", partial(Cluster.go_on, owner=owner))
        for role, seats in self.seats.items():
            yield from self._starts(role, seats)
        for part, values in self.coming.items():
            if len(self.world.raw.get(part, ())) < len(values):
                yield Move(f"a record of {part.topic} comes", partial(Cluster.receive, part=part))
        yield from self._of_broker()
        if self.faults:
            for owner, process in self.alive.items():
                yield from self._faults(owner, process.step)

    def _starts(self, role: str, seats: tuple[Lane | Twin, ...]) -> Iterator[Move]:
        works = any(owner in self.alive for owner in seats)
        for owner in seats:
            if owner not in self.alive and not (works and role in self.apart):
                yield Move(f"{owner.owner} starts", partial(Cluster.start, owner=owner), works)

    def _of_broker(self) -> Iterator[Move]:
        for name, now in self.world.kafka.transactions.items():
            if now.committed is None:
                lives = any(isinstance(owner, Engine) and owner.producer == name for owner in self.alive)
                yield Move("the open transaction times out", partial(Cluster.time_out, name=name), lives)
            else:
                yield Move("the broker writes its markers", partial(Cluster.mark, name=name))

    def _faults(self, owner: Lane | Twin, step: Step[Any]) -> Iterator[Move]:
        name = owner.owner
        yield Move(f"{name} dies", partial(Cluster.end, owner=owner), True)
        if step.torn is not None:
            yield Move(f"{name} dies and half {step.does}", partial(Cluster.tear, owner=owner), True)
        if step.unheard is not None:
            yield Move(
                f"{name} {step.does}, but does not hear of it",
                partial(Cluster.go_on, owner=owner, instead=step.unheard),
                True,
            )
        if self.world.disks.get(name):
            yield Move(f"{name} dies, its disk is lost", partial(Cluster.end, owner=owner, writes=1 << 20), True)
            yield Move(f"{name} dies, its last write is lost", partial(Cluster.end, owner=owner, writes=1), True)
        if isinstance(owner, Lane) and name in self.world.handed:
            yield from self._of_faust(owner, self.world.handed[name])

    def _of_faust(self, owner: Lane, at: int) -> Iterator[Move]:
        if at:
            yield Move(
                f"{owner.owner} is handed the last frame again", partial(Cluster.hand, owner=owner, ahead=-1), True
            )
        if next(self.world.kafka.everything(owner.topic, at + 1), None) is not None:
            yield Move(f"{owner.owner} is not handed a frame", partial(Cluster.hand, owner=owner, ahead=1), True)

    def start(self, owner: Lane | Twin) -> None:
        """A new process of this owner."""
        self._is_now(owner, started(owner.run))

    def go_on(self, owner: Lane | Twin, instead: Exception | None = None) -> None:
        """The owner does its next step, and is told the answer, or this instead of it."""
        process = self.alive[owner]
        try:
            answer = process.step.do(self.world)
        except Died as died:
            answer = died
        self._is_now(owner, process.after(instead or answer))

    def tear(self, owner: Lane | Twin) -> None:
        """The owner dies in the middle of its next step."""
        torn = self.alive[owner].step.torn
        assert torn is not None
        torn(self.world)
        self.end(owner)

    def end(self, owner: Lane | Twin, writes: int = 0) -> None:
        """The owner's process is gone, and with it this many of the last writes to its disk."""
        del self.alive[owner]
        self.world.handed.pop(owner.owner, None)
        if writes:
            self.world.disks[owner.owner] = self.world.disks[owner.owner][:-writes]

    def hand(self, owner: Lane, ahead: int) -> None:
        """Faust goes back, or ahead."""
        self.world.handed[owner.owner] += ahead

    def receive(self, part: Partition) -> None:
        """The next raw record of this partition comes."""
        self.world.receive(part, *self.coming[part][len(self.world.raw.get(part, ()))])

    def time_out(self, name: str) -> None:
        """The broker gives a producer's open transaction up."""
        self.world.kafka.time_out(name)

    def mark(self, name: str) -> None:
        """The broker writes the markers of a producer's last transaction."""
        self.world.kafka.mark(name)

    def _is_now(self, owner: Lane | Twin, process: Process | None) -> None:
        if process is None:
            if owner in self.alive:
                self.end(owner)
        else:
            self.alive[owner] = process
