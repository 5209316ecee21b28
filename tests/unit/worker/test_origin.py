"""Which state can be trusted beside which topics."""

from __future__ import annotations

import pytest

from streams.worker.state.log import OtherLog
from streams.worker.state.origin import UNKNOWN, Origin, is_trusted

HERE = Origin("cluster", "journal", "changelog")
NEW_JOURNAL = HERE._replace(journal="journal-0")
NEW_CHANGELOG = HERE._replace(changelog="changelog-0")


@pytest.mark.parametrize(
    "noted", [HERE, UNKNOWN, Origin("cluster"), Origin("", "journal", ""), Origin("", "", "changelog")]
)
def test_a_state_of_these_topics_is_trusted_and_what_is_unknown_differs_from_nothing(noted: Origin) -> None:
    assert is_trusted(noted, HERE, "it", empty=False)
    assert is_trusted(HERE, noted, "it", empty=True)


@pytest.mark.parametrize(
    "noted",
    [HERE._replace(cluster="other"), Origin("cluster", "journal-0", "changelog-0"), Origin("other", "j", "c")],
)
@pytest.mark.parametrize("empty", [True, False])
def test_a_state_of_another_cluster_or_of_two_other_topics_is_not(noted: Origin, empty: bool) -> None:
    assert not is_trusted(noted, HERE, "it", empty)


@pytest.mark.parametrize("empty", [True, False])
def test_a_journal_made_anew_beside_its_changelog_is_for_an_operator_to_mend(empty: bool) -> None:
    with pytest.raises(OtherLog, match="the local store is of journal journal-0, but journal is there"):
        is_trusted(NEW_JOURNAL, HERE, "the local store", empty)


def test_a_changelog_made_anew_beside_its_journal_is_for_an_operator_to_mend_while_it_is_empty() -> None:
    with pytest.raises(OtherLog, match="changelog-0, but changelog is there: was it made anew"):
        is_trusted(NEW_CHANGELOG, HERE, "it", empty=True)


def test_a_changelog_that_somebody_began_anew_counts_and_older_state_does_not() -> None:
    assert not is_trusted(NEW_CHANGELOG, HERE, "it", empty=False)
