"""A short hunt: workers, broker and database are killed and stopped under load, and what comes out is as if nothing had
happened. The full one is `make chaos`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.traffic import TrafficSpec
from streams.worker.servers import Server
from tests.chaos.run import Chaos, Spec, chaos

SHORT = Spec(TrafficSpec(people=250, days=1.0), seconds=45.0, seed=7, pace_s=1.5)


@pytest.fixture(scope="module")
def run(kafka: Server, clickhouse: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    """On servers of its own, since it kills them: the shared ones show that they can run here."""
    with chaos(SHORT, tmp_path_factory.mktemp("chaos")) as found:
        yield found


def test_something_was_killed(run: Chaos) -> None:
    assert [strike for strike in run.hunt.strikes if strike.how != "pause"]


def test_public_topics_hold_each_record_once_and_no_other(run: Chaos) -> None:
    assert set(run.aftermath.public().values()) == {(0, 0)}, run.aftermath.public()


def test_each_journal_frame_has_one_resolved_frame_in_order(run: Chaos) -> None:
    assert set(run.aftermath.resolved().values()) == {(0, 0)}, run.aftermath.resolved()


def test_tables_and_views_hold_each_row_once_and_no_other(run: Chaos) -> None:
    assert set(run.aftermath.facts().values()) == {(0, 0)}, run.aftermath.facts()


def test_every_coupon_that_is_due_stands_or_a_decision_says_why_not(run: Chaos) -> None:
    assert run.aftermath.coupons(run.traffic.truth) == (0, 0)


def test_the_state_restored_on_another_host_is_the_state_of_the_fold(run: Chaos) -> None:
    assert set(run.aftermath.state().values()) == {(0, 0)}, run.aftermath.state()


def test_every_worker_ends_in_order_when_it_is_told_to(run: Chaos) -> None:
    assert set(run.crew.end().values()) == {0}
