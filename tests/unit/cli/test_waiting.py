"""What `siyu doctor` says of waits: which rule waits for which source, since when, and whether that is to be mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.cli.waiting import Waiting, behind, waiting_rules
from streams.delivery.policies import Policies
from streams.journal.tables import Tables
from streams.rules.book import Book

HOUR = 3_600_000
NOON = 1_700_020_800_000
RULES = Path(__file__).parents[3] / "deploy" / "rules"
ORDER, POS, CONTROL = "events.raw.order/0", "events.raw.pos/0", "control/0"
ALL = Waiting("t1", "gone", "", patient=False)
PATIENT = Waiting("t1", "patient", "events.raw.pos", patient=True)


def told(progress: dict[str, int], *waiting: Waiting) -> list[tuple[bool, str]]:
    found = behind(waiting, (ORDER, POS, CONTROL), progress, Policies(Tables()))
    return [(one.good, one.sentence) for one in found]


def test_a_source_that_is_behind_is_named_with_the_rules_since_when_and_the_mend() -> None:
    (found,) = told({ORDER: NOON, POS: NOON - HOUR, CONTROL: NOON - HOUR}, ALL, PATIENT)
    assert not found[0]
    assert found[1].startswith(
        "gone (t1), patient (t1): waiting for pos/0, since 2023-11-15 11:00:00, 1 h behind. Mend"
    )


def test_who_has_patience_is_told_of_and_there_is_nothing_to_mend() -> None:
    ((good, sentence),) = told({ORDER: NOON, POS: NOON - HOUR}, PATIENT)
    assert good
    assert sentence.endswith("It goes on without when its patience is over")


def test_a_source_that_was_not_heard_of_is_told_so() -> None:
    ((good, sentence),) = told({ORDER: NOON}, ALL)
    assert (good, "waiting for pos/0, not heard of lately" in sentence) == (False, True)


@pytest.mark.parametrize("progress", [{}, {ORDER: NOON, POS: NOON - 600_000}])
def test_nobody_waits_where_all_sources_are_near(progress: dict[str, int]) -> None:
    assert told(progress, ALL) == []


def test_rules_that_wait_are_absences_and_journeys_that_wait_for_an_event() -> None:
    book = Book(Tables())
    for path in sorted(RULES.glob("*.yaml")):
        book.apply("*", path.read_text(encoding="utf-8"))
    found = {(one.rule, one.group, one.patient) for one in waiting_rules("t1", book)}
    waiting = ("unpaid-order-coupon", "newcomer-gift", "onboarding-step-four")
    assert found == {(rule, "", False) for rule in waiting}
