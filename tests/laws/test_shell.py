"""The whole pipeline under any schedule: whoever dies, stops, wakes up or takes over, what comes out is the same.

Two ingest workers, two engines and two sinks over a model of Kafka and Faust; `tests/support/shell` has their steps,
with the real aligner, engine, changelog, store and block writer in them. Hypothesis draws what comes in, who goes on
next and what goes wrong. At the end all is compared with one plain fold of the journal.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.support.profiles import law
from tests.support.shell.check import journal_of, wrong_facts, wrong_journal, wrong_outputs, wrong_state
from tests.support.shell.cluster import Cluster, Coming
from tests.support.shell.engine import Engine, Snapshotting, Unfenced
from tests.support.shell.folds import by_engine, folded
from tests.support.shell.ingest import Twin
from tests.support.shell.lane import Lane
from tests.support.shell.sink import GUARDED, Sink
from tests.support.shell.traffic import PARTITIONS, afterwards, traffic
from tests.support.shell.world import World
from tests.support.stories import BASE

_LAW = settings(law, max_examples=law.max_examples // 2)
FAULTS = 8
ONE_IN = 8
"""About how many moves there are to a fault."""
CHOICES = st.lists(st.integers(0, 1 << 12), min_size=80, max_size=250)
ALONE = frozenset[str]() if GUARDED else frozenset({"sink"})


def _pipeline(engines: tuple[Engine, Engine], coming: Coming, apart: frozenset[str]) -> Cluster:
    seats: dict[str, tuple[Lane | Twin, ...]] = {
        "ingest": (Twin("ingest A", PARTITIONS, most=2), Twin("ingest B", PARTITIONS)),
        "engine": engines,
        "sink": (Sink("sink A"), Sink("sink B", most=3)),
    }
    return Cluster(seats, FAULTS, coming, apart, World(now_ms=BASE))


def _play(cluster: Cluster, choices: Sequence[int]) -> None:
    """As chosen for a while; then nothing goes wrong any more, a last event comes, and everybody gets done."""
    for choice in choices:
        moves = cluster.moves()
        faults = [move for move in moves if move.is_fault]
        free = [move for move in moves if not move.is_fault]
        among = faults if faults and choice % ONE_IN == 0 else free
        if among:
            move = among[choice // ONE_IN % len(among)]
            note(move.says)
            cluster.take(move)
    cluster.settle()
    cluster.coming = afterwards(cluster.coming)
    cluster.settle()


@_LAW
@given(traffic(), CHOICES)
def test_every_output_fact_and_row_is_that_of_a_plain_fold(coming: Coming, choices: Sequence[int]) -> None:
    engines = Snapshotting("engine A", fold=by_engine), Snapshotting("engine B", fold=by_engine, most=3)
    cluster = _pipeline(engines, coming, ALONE)
    _play(cluster, choices)
    world = cluster.world
    assert not wrong_journal(world)
    assert not wrong_outputs(world, by_engine)
    assert not wrong_state(world, by_engine)
    assert not wrong_facts(world, folded(by_engine, journal_of(world)).resolved)


@_LAW
@given(traffic(), CHOICES)
def test_without_transactions_outputs_are_the_same_set_and_facts_stand_once(
    coming: Coming, choices: Sequence[int]
) -> None:
    engines = Unfenced("engine A", fold=by_engine), Unfenced("engine B", fold=by_engine, most=3)
    cluster = _pipeline(engines, coming, ALONE | {"engine"})
    _play(cluster, choices)
    world = cluster.world
    assert not wrong_journal(world)
    assert not wrong_outputs(world, by_engine, once=False)
    assert not wrong_state(world, by_engine)
    assert not wrong_facts(world, folded(by_engine, journal_of(world)).resolved)
