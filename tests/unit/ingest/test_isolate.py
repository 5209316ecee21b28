"""A record at which ingest's own code raises is one dead letter, and its neighbours pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pytest

from schemas.registry import RegistryUnavailable
from streams.ingest import intake as intake_module
from streams.ingest.align import Cut
from streams.ingest.isolate import MOST, isolated
from streams.ingest.normalise import normalise
from streams.journal.frame import REFUSAL, Frame
from tests.unit.ingest.raw import APP, COMMANDS, POS, command, event, intake, stand


class Planted(RuntimeError):
    """Our own fault, of which no record is guilty."""


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[Collection[str]], list[int]]:
    """Makes normalising raise for these event ids; answers a list of the rows of each call."""

    def planted(bad: Collection[str]) -> list[int]:
        calls: list[int] = []

        def raising(events: Any, ids: Any) -> Any:
            found = events["event_id"].to_pylist()
            calls.append(len(found))
            if set(found) & set(bad):
                raise Planted("with a phone number: 13912345678")
            return normalise(events, ids)

        monkeypatch.setattr(intake_module, "normalise", raising)
        return calls

    return planted


def _cut(count: int) -> Cut:
    values = [(APP if at % 3 else POS, event(event_id=f"e{at}")) for at in range(count)]
    return stand(*values, (COMMANDS, command()), (APP, event(amount_fen=-1)), (APP, None))


def test_the_record_is_found_and_the_others_are_as_if_it_had_been_no_record(
    plant: Callable[[Collection[str]], list[int]],
) -> None:
    plant(["e5"])
    cut = _cut(20)
    batch = isolated(intake().process, cut)
    (at,) = [n for n, record in enumerate(cut.records) if b"e5" in (record.value or b"")]
    others = intake().process(cut._replace(records=cut.records[:at] + cut.records[at + 1 :]))
    assert _good(batch.frames[0]) == _good(others.frames[0])
    assert batch.dead_letters[1:] == others.dead_letters
    letter = batch.dead_letters[0]
    assert (letter["reason"], letter["stage"], letter["raw"]) == ("internal_fault", "ingest", cut.records[at].value)
    assert (letter["topic"], letter["offset"]) == (cut.records[at].topic, cut.records[at].offset)
    assert batch.counts == others.counts + type(batch.counts)({("internal_fault", letter["topic"]): 1})


def _good(frame: Frame) -> Any:
    entries = [entry for entry in frame.entries if entry.kind != REFUSAL]
    return frame.events, frame.ids, entries, frame.ranges, frame.progress


def test_dead_letters_stay_in_the_order_of_the_cut(plant: Callable[[Collection[str]], list[int]]) -> None:
    plant(["e1", "e0"])
    batch = isolated(intake().process, _cut(3))
    reasons = [letter["reason"] for letter in batch.dead_letters]
    assert reasons == ["internal_fault", "internal_fault", "negative_amount", "empty"]


def test_the_letter_says_what_raised_and_not_with_which_value(plant: Callable[[Collection[str]], list[int]]) -> None:
    plant(["e0"])
    detail = isolated(intake().process, _cut(2)).dead_letters[0]["detail"]
    assert detail.startswith("Planted in streams.ingest.intake._events, line ")


def test_a_good_cut_is_processed_once(plant: Callable[[Collection[str]], list[int]]) -> None:
    calls = plant([])
    isolated(intake().process, _cut(20))
    assert len(calls) == 1


def test_a_thousand_records_are_searched_in_few_steps(plant: Callable[[Collection[str]], list[int]]) -> None:
    calls = plant(["e777"])
    assert len(isolated(intake().process, _cut(1000)).dead_letters) == 3
    assert len(calls) < 30


def test_what_raises_once_is_tried_again(plant: Callable[[Collection[str]], list[int]]) -> None:
    bad = ["e1"]
    plant(bad)
    batches = []

    def process(cut: Cut, faulty: Mapping[int, str]) -> Any:
        try:
            batches.append(intake().process(cut, faulty))
        finally:
            bad.clear()
        return batches[-1]

    assert "internal_fault" not in {letter["reason"] for letter in isolated(process, _cut(3)).dead_letters}


def test_a_fault_of_many_records_is_no_poison(plant: Callable[[Collection[str]], list[int]]) -> None:
    plant([f"e{at}" for at in range(MOST + 1)])
    with pytest.raises(Planted):
        isolated(intake().process, _cut(MOST + 50))


def test_a_fault_of_no_record_is_no_poison() -> None:
    def process(cut: Cut, faulty: Mapping[int, str]) -> Any:
        raise Planted

    with pytest.raises(Planted):
        isolated(process, _cut(0)._replace(records=[]))


def test_a_registry_that_is_away_is_no_fault_of_a_record() -> None:
    def process(cut: Cut, faulty: Mapping[int, str]) -> Any:
        raise RegistryUnavailable("no answer")

    with pytest.raises(RegistryUnavailable):
        isolated(process, _cut(2))
