"""Every schedule of two owners over a few frames: each step of either, each place to die, each lie of Faust's.

Nothing is drawn here: all that can happen within the scope happens, so an order of calls that is wrong is found, with
a shortest story of how. What the steps are is told in `tests/support/shell`; that each guard in them is needed, in
`test_shell_guards.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.profiles import law
from tests.support.shell.check import every_end, wrong_facts, wrong_journal, wrong_outputs, wrong_state
from tests.support.shell.cluster import Cluster
from tests.support.shell.engine import Engine, Snapshotting, Unfenced
from tests.support.shell.folds import by_chain
from tests.support.shell.ingest import Twin
from tests.support.shell.scopes import APART, LINKS, RECEIPTS, engines, resolved, sinks, twins
from tests.support.shell.sink import GUARDED, Sink
from tests.support.shell.world import World

MORE = law.max_examples > 100
"""Whether there is time for the larger scopes."""


def _assert_always(cluster: Cluster, wrong: Callable[[World], str]) -> None:
    for end in every_end(cluster):
        assert not wrong(end.cluster.world), "\n".join(end.story)


def _wrong(world: World) -> str:
    return wrong_outputs(world, by_chain) or wrong_state(world, by_chain)


def _wrong_as_sets(world: World) -> str:
    return wrong_outputs(world, by_chain, once=False) or wrong_state(world, by_chain)


@pytest.mark.parametrize(("frames", "faults"), [(2, 2), *([(3, 2)] if MORE else [])])
def test_engines_publish_each_frame_once(frames: int, faults: int) -> None:
    _assert_always(engines(Engine("A"), Engine("B", most=2), frames=frames, faults=faults), _wrong)


@pytest.mark.parametrize("committed", [1, 2])
def test_where_faust_begins_does_not_matter(committed: int) -> None:
    _assert_always(engines(Engine("A"), Engine("B", most=2), frames=3, committed=committed), _wrong)


def test_without_transactions_engines_publish_no_other_record_and_keep_the_same_state() -> None:
    owners = Unfenced("A"), Unfenced("B", most=2)
    _assert_always(engines(*owners, faults=2, apart=APART), _wrong_as_sets)


@pytest.mark.parametrize(("frames", "faults"), [(2, 1), (3, 1), *([(2, 2)] if MORE else [])])
def test_snapshots_and_a_changelog_that_is_cut_off_lose_nothing(frames: int, faults: int) -> None:
    _assert_always(engines(Snapshotting("A"), Snapshotting("B", most=2), frames=frames, faults=faults), _wrong)


@pytest.mark.parametrize(("receipts", "links"), [(1, 1), (2, 0), *([(3, 0), (2, 1)] if MORE else [])])
def test_ingest_workers_journal_each_raw_record_for_the_engine_once(receipts: int, links: int) -> None:
    owners = Twin("A", (RECEIPTS, LINKS)), Twin("B", (RECEIPTS, LINKS), most=1)
    _assert_always(twins(*owners, receipts=receipts, links=links, faults=1), wrong_journal)


def test_a_partition_may_have_two_ingest_workers_for_a_while() -> None:
    owners = Twin("A", (RECEIPTS, LINKS)), Twin("B", (LINKS,))
    _assert_always(twins(*owners, receipts=1, links=1, faults=1, each=True), wrong_journal)


def _wrong_facts(frames: int) -> Callable[[World], str]:
    return lambda world: wrong_facts(world, resolved(frames))


def test_sinks_that_follow_each_other_write_each_fact_once() -> None:
    cluster = sinks(Sink("A"), Sink("B", most=2), frames=2, faults=1, apart=APART)
    _assert_always(cluster, _wrong_facts(2))


@pytest.mark.xfail(condition=not GUARDED, reason="inserts do not look yet who owns the shard", strict=True)
@pytest.mark.parametrize("frames", [1, *([2] if MORE else [])])
def test_two_sinks_at_once_write_each_fact_once(frames: int) -> None:
    _assert_always(sinks(Sink("A"), Sink("B", most=2), frames=frames, faults=1), _wrong_facts(frames))
