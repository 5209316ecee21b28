"""One replay at a time: of many who ask one gets the turn, and a holder that is gone does not keep it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest

from sinks.sink import Database
from sinks.turns import NotOurTurn, Turn, turn
from streams.settings import Settings
from streams.worker.refill import NotReplayed
from streams.worker.replay import Span, replay
from tests.unit.sinks.opened import SERVER

QUIET_S = 0.4
_HOLDS = """
import sys
from sinks.turns import turn
from sinks.urls import open_sink
with turn(open_sink(sys.argv[1]), "replay"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_of_many_who_ask_at_once_one_gets_it_and_the_others_are_told_who(live: Database) -> None:
    barrier, told, got = Barrier(6), list[str](), list[int]()
    refused = Event()

    def ask(number: int) -> None:
        with closing(live.at(live.name)) as own:
            barrier.wait()
            try:
                with turn(own, "replay", quiet_s=2.0, beat_s=0.1):
                    got.append(number)
                    refused.wait()
            except NotOurTurn as error:
                told.append(str(error))
                if len(told) == 5:
                    refused.set()

    threads = [Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(told)) == (1, 5)
    assert all("another replay is under way" in one and "process" in one for one in told)


def test_a_second_replay_is_refused_before_it_looks_at_anything(live: Database, tmp_path: Path) -> None:
    with closing(live.at(live.name)) as own, turn(own, "replay", beat_s=0.1):
        second = replay(Settings(data=tmp_path), live, Span(), Event())
        with pytest.raises(NotReplayed, match="another replay is under way"):
            next(second)


def test_who_comes_after_it_has_ended_does_not_wait(live: Database) -> None:
    for _ in range(2):
        with turn(live, "replay", quiet_s=600):
            pass


def test_one_that_nothing_is_heard_of_loses_it_and_finds_out_before_the_swap(live: Database) -> None:
    with closing(live.at(live.name)) as its, closing(live.at(live.name)) as own:
        away = Turn(its, "replay")
        away.take()
        away.hold()
        with turn(own, "replay", QUIET_S) as ours:
            with pytest.raises(NotOurTurn, match="another replay has taken over"):
                away.hold()
            away.release()
            ours.hold()


def test_a_turn_of_something_else_is_another_one(live: Database) -> None:
    with closing(live.at(live.name)) as own, turn(live, "replay"), turn(own, "something else"):
        pass


@pytest.mark.parametrize("live", [SERVER], indirect=True)
def test_a_killed_process_does_not_keep_it(live: Database, request: pytest.FixtureRequest) -> None:
    server = f"clickhouse://default@{request.getfixturevalue('clickhouse').address}"
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(NotOurTurn, match=f"process {holder.pid}"), turn(live, "replay"):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with turn(live, "replay", QUIET_S):
        pass
