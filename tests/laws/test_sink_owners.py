"""Several owners of one shard, cut off anywhere, on a server whose statements come late: every row stands once.

Three ways to look: two owners in step with each other at every distance; one stopped at every place, overtaken, woken
up and stopped again; and whatever Hypothesis thinks of, with answers lost, processes killed and up to three owners.
"""

from __future__ import annotations

from itertools import product

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from schemas.frames import Resolved
from sinks.batches import BlockSize
from sinks.memory import MemorySink
from sinks.sink import Sink, SinkUnavailable
from sinks.writer import AnotherWriter, BlockWriter
from tests.support.profiles import law
from tests.unit.sinks.reading import Rows, facts
from tests.unit.sinks.resolved import frames
from tests.unit.sinks.unruly import Owner, Server

SEVERAL = frames(3, 2)
ONE = [frame for frame in frames(9, 2) if set(frame.tables) == {"events"}][:1]
SIZE = BlockSize(rows=2)
AT_ONCE = 3
EVERY = 1 if law.max_examples >= 500 else 19
"""Which part of the places to stop at is tried: all of them with the profile `ci`."""


class Work:
    """As the sink's worker: the frames from the start, again whenever the sink was away, until the shard is lost."""

    def __init__(self, given: list[Resolved]) -> None:
        self._given = given

    def __call__(self, sink: Sink) -> None:
        writer = BlockWriter(sink, 0, size=SIZE, patience_s=-1)
        while True:
            try:
                for frame in self._given:
                    writer.write([frame])
            except SinkUnavailable:
                continue
            except AnotherWriter:
                pass
            return

    def undisturbed(self) -> dict[str, Rows]:
        """What stands where nothing happens."""
        sink = MemorySink()
        self(sink)
        return facts(sink, 0)


def run(owner: Owner, steps: int) -> int:
    """The owner goes on so many steps, or until it ends; how many it was."""
    for step in range(steps):
        if owner.ended:
            return step
        owner.step()
    return steps


def run_out(server: Server, *owners: Owner) -> None:
    """They go on one after the other until they end; what is listed as running on the server runs on too."""
    for owner in owners:
        for turn in range(10_000):
            if owner.ended:
                break
            running = [one for one in server.statements if one.running]
            if turn % 50 == 49 and running:
                server.advance(running[0])
            owner.step()
        assert owner.ended
        assert owner.fault is None, owner.fault


def settled(server: Server, work: Work) -> dict[str, Rows]:
    """What stands when everything that was late has come, and an owner has looked after it."""
    while server.statements:
        server.advance(server.statements[0])
    run_out(server, Owner(server, work))
    return facts(server.rows, 0)


def test_two_owners_in_step_leave_every_row_once() -> None:
    work = Work(ONE)
    expected = work.undisturbed()
    for lag, first, second in product(range(40), range(1, 6), range(1, 6)):
        server = Server()
        owners = [Owner(server, work), Owner(server, work)]
        run(owners[0], lag)
        while not owners[0].ended and not owners[1].ended:
            run(owners[0], first)
            run(owners[1], second)
        run_out(server, *owners)
        assert settled(server, work) == expected, f"{lag} steps ahead, {first} and {second} at a time"


def test_an_owner_stopped_anywhere_overtaken_and_woken_leaves_every_row_once() -> None:
    work = Work(ONE)
    expected = work.undisturbed()
    places = list(product(range(40), range(60), range(8)))
    for stopped, overtaken, woken in places[::EVERY]:
        server = Server()
        first, second = Owner(server, work), Owner(server, work)
        run(first, stopped)
        run(second, overtaken)
        run(first, woken)
        run_out(server, second, first)
        assert settled(server, work) == expected, f"stopped after {stopped}, {overtaken} and {woken} steps"


class Owners(RuleBasedStateMachine):
    """Whoever goes on next, and whatever becomes of a call, is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.work = Work(SEVERAL)
        self.server = Server()
        self.alive: list[Owner] = []

    def chosen(self, number: int) -> Owner:
        return self.alive[number % len(self.alive)]

    def bury(self) -> None:
        for owner in self.alive:
            assert owner.fault is None, owner.fault
        self.alive = [owner for owner in self.alive if not owner.ended]

    @precondition(lambda self: len(self.alive) < AT_ONCE)
    @rule()
    def start(self) -> None:
        self.alive.append(Owner(self.server, self.work))

    @precondition(lambda self: self.alive)
    @rule(number=st.integers(0, 5), steps=st.integers(1, 40))
    def step(self, number: int, steps: int) -> None:
        run(self.chosen(number), steps)
        self.bury()

    @precondition(lambda self: self.alive)
    @rule(number=st.integers(0, 5))
    def lose(self, number: int) -> None:
        self.chosen(number).lose()
        self.bury()

    @precondition(lambda self: self.alive)
    @rule(number=st.integers(0, 5))
    def kill(self, number: int) -> None:
        self.chosen(number).kill()
        self.bury()

    @precondition(lambda self: self.server.statements)
    @rule(number=st.integers(0, 5))
    def advance(self, number: int) -> None:
        statements = self.server.statements
        self.server.advance(statements[number % len(statements)])

    def teardown(self) -> None:
        """A last owner comes and is not disturbed; then whoever was stopped wakes up, and what was late arrives."""
        run_out(self.server, Owner(self.server, self.work), *self.alive)
        assert settled(self.server, self.work) == self.work.undisturbed()


OwnersTest = Owners.TestCase
OwnersTest.settings = settings(law, stateful_step_count=60)
