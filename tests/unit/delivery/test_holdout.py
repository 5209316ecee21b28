"""Who is held out: a share that is about as large as it says, and always the same persons."""

from __future__ import annotations

from streams.delivery.holdout import in_share

PERSONS = [f"{number:032x}" for number in range(20_000)]


def test_a_share_is_about_as_large_as_it_says() -> None:
    assert 900 < sum(in_share(one, "holdout", 5) for one in PERSONS) < 1_100
    assert sum(in_share(one, "holdout", 0) for one in PERSONS) == 0
    assert sum(in_share(one, "holdout", 100) for one in PERSONS) == len(PERSONS)


def test_who_is_in_a_share_is_in_every_larger_one() -> None:
    small, large = ({one for one in PERSONS if in_share(one, "holdout", percent)} for percent in (5, 10))
    assert small < large


def test_shares_of_different_rules_are_independent() -> None:
    both = sum(in_share(one, "rule:a", 50) and in_share(one, "rule:b", 50) for one in PERSONS)
    assert 4_700 < both < 5_300


def test_nobody_is_in_no_share() -> None:
    assert not in_share("", "holdout", 100)
