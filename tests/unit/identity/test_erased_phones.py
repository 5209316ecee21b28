"""A phone whose hash another person holds, since the policy did not link the two: what an erasure of either takes."""

from __future__ import annotations

import pytest

from streams.identity.nodes import Evidence
from tests.unit.identity.test_hashed_phones import (
    JD,
    NEWER,
    NUMBER,
    OTHER,
    PHONE,
    SAID,
    TMALL,
    UID,
    Told,
    card,
    erased,
    node,
)

LATER = SAID.event_time_ms + 1
THIRD = node("uid", "u3")


def refused(*more: tuple[str, ...]) -> Told:
    """One account showed a hash of the phone, another the phone: an account per person, so nothing links the two."""
    told = Told((OTHER, TMALL), (UID, PHONE), *more)
    assert told.who(TMALL) == told.who(OTHER) != told.who(PHONE) == told.who(UID)
    told.facts()
    return told


@pytest.mark.parametrize("named", [PHONE, JD, UID])
def test_who_showed_the_phone_is_gone_and_who_showed_its_hash_stays_as_they_were(named: str) -> None:
    told = refused()
    others = {one: told.persons.node(one) for one in (OTHER, TMALL)}
    told.persons.commands.erase("t1", named, SAID)
    (fact,) = erased(told)
    assert {one for one, _ in fact.nodes} == {UID, PHONE, JD}
    assert told.persons.everyone() == {others[OTHER].one_id: sorted(others)}
    assert {one: told.persons.node(one) for one in others} == others
    assert told.mentions(NUMBER) == []
    assert not told.tables.table("refused")


@pytest.mark.parametrize("name", [PHONE, TMALL, JD])
@pytest.mark.parametrize("more", [(), (card(1),)])
def test_their_past_does_not_come_back_as_that_of_who_showed_a_hash(name: str, more: tuple[str, ...]) -> None:
    """The hash stood for the phone: what happened under it was of who showed the phone."""
    told = refused((name, *more))
    told.persons.commands.erase("t1", PHONE, SAID)
    assert told.see(name, *more) is None
    assert told.persons.everyone().keys() == {told.who(OTHER)}


def test_an_event_of_others_from_before_keeps_its_person_without_the_hash() -> None:
    told = refused()
    told.persons.commands.erase("t1", PHONE, SAID)
    assert told.see(OTHER, TMALL) == told.persons.node(OTHER)
    assert told.see(THIRD, TMALL) == told.persons.node(THIRD)
    assert not told.tables.table("refused")


def test_the_hash_is_of_who_holds_it_from_then_on() -> None:
    told = refused()
    told.persons.commands.erase("t1", PHONE, SAID)
    assert told.see(TMALL, at_ms=LATER) == told.persons.node(TMALL)
    assert told.who(TMALL) == told.who(OTHER)


def test_who_returns_with_the_phone_starts_afresh_and_is_refused_again() -> None:
    told = refused()
    before = {told.persons.node(one) for one in (UID, PHONE)}
    told.persons.commands.erase("t1", PHONE, SAID)
    told.see(UID, PHONE, at_ms=LATER)
    now = {told.persons.node(one) for one in (UID, PHONE)}
    for at in (0, 1):  # one_id, and the hash of the node
        assert {one[at] for one in now}.isdisjoint(one[at] for one in before)
    assert told.who(UID) == told.who(PHONE) != told.who(TMALL) == told.who(OTHER)
    assert told.see(TMALL) is None


def test_what_an_operator_kept_apart_from_the_phone_names_it_no_more_and_still_holds_for_the_hash() -> None:
    told = refused()
    told.persons.commands.unlink("t1", card(1), PHONE, Evidence("cut", 1))
    told.persons.commands.erase("t1", PHONE, SAID)
    assert told.mentions(NUMBER) == []
    told.see(TMALL, card(1), at_ms=LATER)
    assert told.who(card(1)) != told.who(TMALL)
    told.see(UID, PHONE, at_ms=LATER)
    told.see(PHONE, card(1), at_ms=LATER)
    assert told.who(card(1)) != told.who(PHONE)
    told.persons.commands.link("t1", card(1), TMALL, SAID)
    assert not told.tables.table("cuts")


@pytest.mark.parametrize("named", [OTHER, TMALL])
def test_erasing_who_showed_the_hash_takes_no_name_of_the_phone_from_who_showed_that(named: str) -> None:
    told = refused()
    told.persons.commands.erase("t1", named, SAID)
    (fact,) = erased(told)
    assert {one for one, _ in fact.nodes} == {OTHER, TMALL}
    assert told.see(JD) == told.persons.node(PHONE)
    assert told.see(TMALL, at_ms=LATER) == told.persons.node(PHONE)
    assert told.who(PHONE) == told.who(UID)


def test_an_event_with_the_phone_itself_stays_with_who_showed_it_though_a_hash_on_it_was_erased() -> None:
    told = refused()
    told.persons.commands.erase("t1", OTHER, SAID)
    assert told.see(PHONE, TMALL) == told.persons.node(PHONE)


def test_a_hash_goes_on_standing_for_a_phone_that_is_contested_when_who_showed_the_hash_is_erased() -> None:
    told = Told()
    told.persons.apply("t1", NEWER.replace("2 ever", "9 ever"), SAID)
    for nodes in ((OTHER, TMALL), (UID, PHONE), (THIRD, PHONE)):
        told.see(*nodes)
    own = told.see(PHONE)
    assert own not in (None, told.persons.node(PHONE))
    told.persons.commands.erase("t1", OTHER, SAID)
    assert told.see(TMALL, at_ms=LATER) == told.see(PHONE) == own


def test_a_hash_names_the_phone_still_where_the_erasure_named_the_hash_and_others_have_shown_the_phone() -> None:
    told = Told((UID, PHONE), (OTHER, PHONE))
    told.persons.commands.erase("t1", JD, SAID)
    assert told.who(UID) == ""
    assert told.see(JD, at_ms=LATER) == told.persons.node(PHONE)
    assert told.who(PHONE) == told.who(OTHER)


def test_hashes_by_a_scheme_of_a_policy_of_before_bring_nobody_back_either() -> None:
    told = Told((UID, PHONE))
    told.persons.apply("t1", "policy: plain\nversion: 1\nhashed_phones: []\n", SAID)
    told.persons.commands.erase("t1", UID, SAID)
    assert told.see(TMALL) is None
    assert not told.tables.table("aliases")
