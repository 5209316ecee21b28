"""An erased person beside values that are held or shared, and phones that are known by a hash."""

from __future__ import annotations

import hashlib

from streams.compact.rows import Node
from streams.identity.changes import Erased, Held, Linked, Moved, Refused
from streams.identity.nodes import Evidence
from streams.identity.persons import Persons
from streams.identity.policy import DEFAULT, compile_policy
from streams.journal.tables import Tables

SHOP = "policy: shop\nversion: 1\nhashed_phones: [{scope: tmall, algorithm: sha256, salt: s}]\n"
LATER = Evidence("erase", 1_000_000)
DAY = 86_400_000


def node(kind: str, value: str, scope: str = "") -> str:
    return "\x1f".join(("t1", kind, scope, value))


def card(number: int) -> str:
    return node("member_card", f"c{number}")


def uid(number: int) -> str:
    return node("uid", f"u{number}")


PHONE = node("phone", "+8613911112222")
HASHED = node("phone", hashlib.sha256(b"s+8613911112222").hexdigest(), "tmall")
OPENID = node("openid", "o", "wx")


class Told:
    """Persons, and events told one by one, each dropped or struck as the engine does it."""

    def __init__(self, policy: str = "") -> None:
        self.tables = Tables()
        self.persons = Persons(self.tables, b"salt", compile_policy(policy, DEFAULT) if policy else DEFAULT)
        self._number = 0

    def see(self, *nodes: str, at_ms: int = 0) -> Node | None:
        self._number += 1
        left = self.persons.unerased(nodes, at_ms)
        return None if left is None else self.persons.resolve(left, Evidence(f"e{self._number}", at_ms))

    def who(self, node: str) -> str:
        return self.persons.node(node).one_id

    def hash_of(self, node: str) -> str:
        return self.persons.node(node).node_id

    def erase(self, node: str) -> None:
        self.persons.take_facts()
        self.persons.commands.erase("t1", node, LATER)


def till(told: Told, first: int = 0, end: int = 9) -> Told:
    for number in range(first, end):
        told.see(PHONE, card(number))
    return told


def test_an_event_that_went_on_without_a_suspected_value_does_not_come_back_under_it() -> None:
    told = till(Told())
    seen = told.see(PHONE, card(20))
    assert seen == told.persons.node(card(20))
    assert told.who(card(20)) != told.who(PHONE)
    told.erase(card(20))
    assert told.see(PHONE, card(20)) is None


def test_an_event_that_went_on_without_a_contested_value_does_not_come_back_under_it() -> None:
    told = Told()
    told.see(PHONE, uid(1))
    told.see(PHONE, uid(2))
    assert told.see(PHONE, OPENID) == told.persons.node(OPENID)
    told.erase(OPENID)
    assert told.see(PHONE, OPENID) is None


def test_an_event_of_others_is_only_struck() -> None:
    told = till(Told())
    told.see(PHONE, card(20), OPENID)
    told.erase(OPENID)
    told.see(uid(3))
    seen = told.see(PHONE, uid(3), OPENID)
    assert seen == told.persons.node(uid(3))
    assert OPENID not in told.tables.table("nodes")


def test_an_erased_phone_is_erased_by_its_hash_too() -> None:
    told = Told(SHOP)
    told.see(PHONE, uid(1))
    assert told.see(HASHED) == told.persons.node(PHONE)
    told.erase(uid(1))
    (erased,) = (fact for fact in told.persons.take_facts() if isinstance(fact, Erased))
    assert {HASHED, PHONE, uid(1)} == {one for one, _ in erased.nodes}
    assert told.see(HASHED) is None
    told.see(PHONE, at_ms=DAY)
    assert told.see(HASHED) is None
    assert told.see(HASHED, at_ms=DAY) == told.persons.node(PHONE)


def test_a_hash_goes_on_standing_for_a_phone_that_others_have_shown() -> None:
    told = Told(SHOP)
    told.see(PHONE, uid(1))
    told.see(PHONE, uid(2))
    told.erase(uid(1))
    assert told.see(HASHED, at_ms=DAY) == told.persons.node(PHONE)
    assert told.who(PHONE) == told.who(uid(2))


def test_two_ids_stay_cut_though_the_owner_of_one_is_erased() -> None:
    told = Told()
    told.see(PHONE, uid(1))
    told.see(PHONE, uid(2))
    told.persons.commands.unlink("t1", PHONE, uid(2), Evidence("cut", 1))
    told.erase(uid(1))
    told.persons.commands.unlink("t1", PHONE, uid(5), Evidence("cut-2", 1))
    assert told.who(PHONE) != told.who(uid(2))


def test_a_cut_goes_by_all_names_of_an_erased_phone_and_stays_by_all_where_others_have_shown_it() -> None:
    cut = {"\x1e".join(sorted((uid(5), name))) for name in (PHONE, HASHED)}
    for others in (False, True):
        told = Told(SHOP)
        told.see(PHONE, uid(1))
        if others:
            told.see(PHONE, uid(2))
        assert told.persons.commands.unlink("t1", uid(5), PHONE, Evidence("cut", 1)) == ""
        assert set(told.tables.table("cuts")) == cut
        told.erase(uid(1))
        assert bool(told.who(PHONE)) == others
        assert set(told.tables.table("cuts")) == (cut if others else set())


def test_what_an_erased_person_showed_beside_a_value_is_not_told_once_more() -> None:
    told = Told()
    others = node("openid", "o1", "wx"), node("openid", "o1", "wy")
    for openid in (node("openid", "o0", "wx"), node("openid", "o0", "wy")):
        told.see(card(50), openid)
    till(told, end=5)
    told.see(PHONE, card(50), *others)
    till(told, first=5)
    assert told.who(others[0]) != told.who(others[1])
    told.erase(card(50))
    told.persons.commands.reject("t1", PHONE, None, Evidence("till", 1))
    assert told.who(others[0]) != told.who(others[1])


def test_what_is_held_still_is_told_under_the_new_hash() -> None:
    told = till(Told())
    told.see(uid(1), PHONE)
    before = told.hash_of(PHONE)
    told.erase(PHONE)
    facts, now = told.persons.take_facts(), told.hash_of(PHONE)
    assert now != before
    held = [fact for fact in facts if isinstance(fact, Held)]
    assert {(fact.a, fact.b) for fact in held} == {(PHONE, None), (uid(1), PHONE)}
    assert all(now in (fact.a_id, fact.b_id) for fact in held)


def test_a_refusal_that_stays_is_told_under_the_new_hash() -> None:
    told = Told()
    told.see(uid(2), node("openid", "o2", "wx"))
    told.see(uid(1), OPENID)
    told.see(uid(2), OPENID)
    told.erase(uid(1))
    facts = told.persons.take_facts()
    refused = [fact for fact in facts if isinstance(fact, Refused)]
    assert [(fact.a, fact.b) for fact in refused] == [(uid(2), OPENID)]
    assert not [fact for fact in facts if isinstance(fact, Linked)]


def test_a_device_that_a_contested_phone_was_seen_with_stays_when_its_own_events_are_erased() -> None:
    """The event with both is of the phone's events alone, not of the device's."""
    told, tablet = Told(), node("device_id", "d")
    told.see(PHONE, uid(1))
    told.see(PHONE, uid(2))
    told.see(PHONE, tablet)
    before = told.hash_of(tablet)
    told.erase(tablet)
    assert told.hash_of(tablet) not in ("", before)


def test_what_a_contested_phone_alone_did_stays_with_who_claims_it_yet() -> None:
    told = Told()
    told.see(PHONE, uid(1))
    told.see(PHONE, uid(2))
    contested = told.see(PHONE)
    told.erase(uid(1))
    (erased,) = (fact for fact in told.persons.take_facts() if isinstance(fact, Erased))
    assert {one for one, _ in erased.nodes} == {PHONE, uid(1)}
    assert contested is not None
    assert contested.node_id == told.hash_of(f"{PHONE}\x1fcontested")
    assert told.who(f"{PHONE}\x1fcontested") == told.who(uid(2)) == told.who(PHONE)


def test_what_is_left_of_a_login_on_a_device_goes_with_the_device() -> None:
    told, tablet = Told(), node("device_id", "d")
    told.see(uid(1), tablet)
    told.see(OPENID, node("unionid", "n"))
    told.see(OPENID, tablet)
    told.persons.commands.unlink("t1", OPENID, tablet, Evidence("cut", 1))
    told.erase(OPENID)
    told.erase(uid(1))
    assert not [one for one in told.tables.table("nodes") if one.startswith(tablet)]


def test_a_contested_value_can_be_blocked() -> None:
    told = Told()
    told.see(PHONE, uid(1))
    told.see(PHONE, uid(2))
    assert told.see(PHONE) not in (told.persons.node(PHONE), None)
    told.persons.take_facts()
    block = 'policy: b\nversion: 1\nblocked: [{kind: phone, values: ["+8613911112222"]}]'
    told.persons.apply("t1", block, LATER)
    assert told.persons.everyone().keys() == {told.who(uid(1)), told.who(uid(2))}
    gone = {fact.node for fact in told.persons.take_facts() if isinstance(fact, Moved) and not fact.one_id}
    assert gone == {PHONE, f"{PHONE}\x1fcontested"}


def test_a_login_that_is_held_keeps_no_part_of_an_erased_device() -> None:
    told, tablet = Told(), node("device_id", "d")
    told.see(uid(1), tablet)
    told.see(PHONE, card(0))
    told.see(PHONE, tablet)
    till(told, first=1)
    assert PHONE in told.tables.table("suspects")
    told.erase(uid(1))
    assert not [one for one in told.tables.table("nodes") if one.startswith(tablet)]
