"""Values that one policy blocks and a later one does not: what was seen of them before stays unseen."""

from __future__ import annotations

import pytest

from tests.unit.identity.test_hashed_phones import JD, NEWER, NUMBER, OTHER, PHONE, SAID, SHOPS, TMALL, UID, Told, card

THIRD = SHOPS.replace("version: 1", "version: 3")
LISTED = f"blocked: [{{values: ['{NUMBER}']}}]\n"
HASH_LISTED = f"blocked: [{{values: ['{TMALL.rpartition(chr(0x1F))[2]}']}}]\n"


def ruled(*texts: str) -> Told:
    told = Told()
    for text in texts:
        told.persons.apply("t1", text, SAID)
    return told


def again(told: Told, block: str) -> None:
    """A policy blocks, and the next one blocks nothing."""
    told.persons.apply("t1", NEWER + block, SAID)
    told.persons.apply("t1", THIRD, SAID)


def test_what_an_unblocked_value_was_linked_with_stays_apart_from_it() -> None:
    told = ruled(SHOPS)
    told.see(UID, PHONE, card(1))
    again(told, LISTED)
    assert told.who(PHONE) == ""
    told.see(PHONE)
    assert told.who(PHONE) != told.who(UID) == told.who(card(1))


def test_what_events_from_before_a_block_said_of_a_value_does_not_come_to_light_after_it() -> None:
    told = ruled(SHOPS)
    told.see(UID, PHONE, card(1))
    again(told, LISTED)
    told.see(PHONE)
    told.persons.commands.reject("t1", UID, None, SAID)
    assert len({told.who(one) for one in (UID, PHONE, card(1))}) == 3


def test_what_such_events_said_of_other_values_does() -> None:
    told = ruled(SHOPS)
    told.see(UID, PHONE, card(1), card(2))
    again(told, LISTED)
    told.see(PHONE)
    told.persons.commands.reject("t1", UID, None, SAID)
    assert told.who(card(1)) == told.who(card(2)) != told.who(PHONE)


@pytest.mark.parametrize("events", [((PHONE, UID), (TMALL, card(1))), ((TMALL, card(1)), (PHONE, UID))])
def test_a_hash_that_a_policy_blocks_names_nobody_though_its_phone_is_known(
    events: tuple[tuple[str, ...], ...],
) -> None:
    told = ruled(SHOPS)
    for nodes in events:
        told.see(*nodes)
    assert told.who(card(1)) == told.who(UID)
    told.persons.apply("t1", NEWER + HASH_LISTED, SAID)
    assert told.who(TMALL) == ""
    told.see(TMALL, OTHER)
    assert told.who(OTHER) != told.who(PHONE)
    assert told.see(JD) == told.persons.node(PHONE)
    told.persons.apply("t1", THIRD, SAID)
    assert told.see(TMALL) == told.persons.node(PHONE)


def test_a_device_does_not_go_on_to_a_login_that_the_newer_policy_refuses() -> None:
    """The login is decided again, since the same person is tied to a value that is blocked now."""
    first, second = "t1\x1fdevice_id\x1f\x1fd1", "t1\x1fdevice_id\x1f\x1fd2"
    other = "t1\x1funionid\x1f\x1fn1"
    told = ruled(SHOPS)
    told.see(card(1), second)
    told.see(other, second)
    told.see(UID, PHONE)
    told.see(UID, first)
    told.see(UID, second)
    told.see(second)
    assert told.persons.usable((second,))[0] in told.persons.members(told.who(UID))
    told.persons.apply("t1", NEWER + LISTED + "kinds: {device_id: {values: weak, hold: 1 ever}}\n", SAID)
    assert told.persons.usable((second,))[0] in told.persons.members(told.who(other))
