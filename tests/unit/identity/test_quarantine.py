"""What comes to light when a value is found out, and which of two words on a phone holds."""

from __future__ import annotations

from streams.identity.breaker import REJECTED
from tests.unit.identity.test_hashed_phones import JD, NEWER, PHONE, SAID, UID, Told, card, till

HOUR = 3_600_000


def few(limit: str) -> Told:
    told = Told()
    told.persons.apply("t1", NEWER.replace("2 ever", limit), SAID)
    return told


def test_a_pair_that_comes_to_light_counts_from_when_it_was_seen_first() -> None:
    """In an hour the phone was seen with one card only, until an earlier event with the other tells something."""
    told = few("1 per 1h")
    told.see(PHONE, card(2))
    told.see(UID, PHONE, card(1), at_ms=1)
    told.see(PHONE, card(1), at_ms=2 * HOUR)
    assert PHONE not in told.tables.table("suspects")
    told.persons.commands.reject("t1", UID, None, SAID)
    assert PHONE in told.tables.table("suspects")


def test_a_pair_that_comes_to_light_and_was_not_seen_before_is_looked_at() -> None:
    told = few("1 ever")
    told.see(PHONE, card(2))
    told.see(UID, PHONE, card(1))
    assert PHONE not in told.tables.table("suspects")
    told.persons.commands.reject("t1", UID, None, SAID)
    assert PHONE in told.tables.table("suspects")


def test_a_phone_of_which_one_hash_was_rejected_is_rejected_though_another_was_only_found_out() -> None:
    told = till()
    told.see(JD)
    told.persons.commands.reject("t1", JD, None, SAID)
    told.see(PHONE)
    assert {row[3] for row in told.tables.table("suspects").values()} == {REJECTED}
