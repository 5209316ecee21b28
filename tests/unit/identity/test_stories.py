"""What happens to customers who share, sell, change and are given back: one short story each."""

from __future__ import annotations

from hashlib import sha256

import pytest

from streams.compact.rows import Node
from streams.identity.changes import Refused, Unlinked
from streams.identity.nodes import Evidence
from streams.identity.persons import Persons
from streams.identity.spec import InvalidPolicy
from streams.journal.tables import Tables

SEEN = Evidence("e", 1)


def node(kind: str, value: str, scope: str = "") -> str:
    return "\x1f".join(("t1", kind, scope, value))


OLD, NEW = node("uid", "old"), node("uid", "new")
PHONE, OPENID, UNION = node("phone", "+8613912340001"), node("openid", "o1", "wx"), node("unionid", "n1")
TABLET, BROWSER = node("device_id", "d1"), node("cookie", "c1")


class Told:
    """Persons, and events told one by one."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.persons = Persons(self.tables, b"salt")
        self._number = 0

    def see(self, *nodes: str) -> Node:
        self._number += 1
        return self.persons.resolve(nodes, Evidence(f"e{self._number}", self._number))

    def who(self, node: str) -> str:
        return self.persons.node(node).one_id

    def refused(self) -> list[Refused]:
        return [fact for fact in self.persons.take_facts() if isinstance(fact, Refused)]


def test_weeks_under_an_openid_belong_to_the_late_unionid() -> None:
    told = Told()
    before = told.see(OPENID)
    told.see(OPENID, UNION)
    assert told.who(UNION) == before.one_id
    assert told.see(node("openid", "o1", "wy")).one_id != before.one_id


def test_a_visitors_history_goes_to_who_logs_in_first() -> None:
    told = Told()
    visitor = told.see(TABLET)
    told.see(TABLET, BROWSER)
    assert told.see(OLD, TABLET).one_id == told.who(BROWSER) == visitor.one_id


def test_a_family_tablet_joins_nobody_and_its_events_are_of_who_logged_in_last() -> None:
    told = Told()
    told.see(OLD, TABLET)
    told.see(NEW, TABLET)
    assert told.who(OLD) != told.who(NEW)
    assert told.see(TABLET).one_id == told.who(NEW)
    told.see(OLD, TABLET)
    assert told.see(TABLET).one_id == told.who(OLD)
    assert told.who(TABLET) == told.who(OLD)
    told.see(NEW, TABLET)
    assert told.see(TABLET).one_id == told.who(NEW)
    assert told.refused() == []


def test_a_kiosk_makes_one_node_for_each_login_however_often_they_come() -> None:
    told = Told()
    for _ in range(3):
        for number in range(5):
            told.see(node("uid", f"u{number}"), TABLET)
    assert len(told.tables.table("nodes")) == 5 + 5


def test_a_shared_device_tells_nothing_of_a_browser() -> None:
    told = Told()
    told.see(OLD, TABLET)
    told.see(NEW, TABLET)
    told.see(TABLET, BROWSER)
    assert told.who(BROWSER) not in (told.who(OLD), told.who(NEW))


def test_a_recycled_phone_stays_with_its_owner_for_the_past_and_is_nobodys_from_then_on() -> None:
    told = Told()
    past = told.see(OLD, PHONE)
    told.see(NEW, PHONE)
    assert told.who(PHONE) == past.one_id == told.who(OLD)
    later = told.see(PHONE)
    assert later.one_id not in (told.who(OLD), told.who(NEW))
    assert told.see(PHONE, OPENID).one_id == told.who(OPENID) != told.who(OLD)
    assert [fact.reason for fact in told.refused()] == ["default@1:27 uid: 1 ever", "contested"]


def test_the_old_owner_of_a_recycled_phone_is_not_reached_under_it() -> None:
    told = Told()
    told.see(OLD, PHONE)
    assert PHONE in told.persons.addresses(told.who(OLD), ())
    told.see(NEW, PHONE)
    assert PHONE not in told.persons.addresses(told.who(OLD), ())
    assert PHONE in told.persons.addresses(told.who(OLD), (OLD, PHONE))


def test_an_operator_gives_a_recycled_phone_to_its_new_owner() -> None:
    told = Told()
    told.see(OLD, PHONE)
    told.see(NEW, PHONE)
    till = told.see(PHONE)
    assert told.persons.commands.link("t1", NEW, PHONE, SEEN) == ""
    assert told.see(PHONE).one_id == told.who(NEW) != told.who(OLD)
    assert told.see(PHONE).node_id == till.node_id


def test_two_accounts_on_one_event_contest_nothing() -> None:
    told = Told()
    told.see(NEW, UNION)
    assert told.see(OLD, NEW).one_id == told.who(NEW)
    assert told.see(NEW).one_id == told.who(UNION) != told.who(OLD)


def test_one_more_phone_than_a_person_may_hold_stays_alone() -> None:
    told = Told()
    for number in range(4):
        told.see(OLD, node("phone", f"+861391234000{number}"))
    assert told.who(node("phone", "+8613912340002")) == told.who(OLD) != told.who(node("phone", "+8613912340003"))
    assert [fact.reason for fact in told.refused()] == ["default@1:36 phone: 3 ever"]


def test_limits_count_for_each_issuer() -> None:
    told = Told()
    told.see(UNION, node("openid", "a", "wx1"))
    told.see(UNION, node("openid", "b", "wx2"))
    told.see(UNION, node("openid", "c", "wx2"))
    assert told.who(node("openid", "b", "wx2")) == told.who(UNION) != told.who(node("openid", "c", "wx2"))


def test_a_card_that_a_family_shares_joins_nobody_and_is_not_contested() -> None:
    told = Told()
    told.persons.apply("t1", "policy: p\nversion: 1\nkinds: {member_card: {values: shareable}}", SEEN)
    card = node("member_card", "c")
    told.see(card)
    told.see(OLD, card)
    told.see(NEW, card)
    assert told.see(card).one_id == told.who(OLD) != told.who(NEW)
    assert [fact.reason for fact in told.refused()] == ["p@1:3 member_card: shareable"]


def test_who_is_not_known_gets_no_device_that_several_used() -> None:
    told, card = Told(), node("member_card", "c")
    told.persons.apply("t1", "policy: p\nversion: 1\nkinds: {member_card: {values: shareable}}", SEEN)
    told.see(OLD, TABLET)
    told.see(NEW, TABLET)
    assert told.see(card, TABLET).one_id == told.who(card) not in (told.who(OLD), told.who(NEW))
    assert told.see(TABLET).one_id == told.who(NEW)


# Hashed phones

SHOP = "policy: p\nversion: 1\nhashed_phones: [{scope: tmall, algorithm: sha256, salt: s}]"
HASHED = node("phone", sha256(b"s+8613912340001").hexdigest(), "tmall")
BUYER = node("marketplace_id", "b", "tmall")


@pytest.mark.parametrize("plain_first", [True, False])
def test_a_plain_phone_and_the_hash_of_it_meet_whichever_comes_first(plain_first: bool) -> None:
    told = Told()
    told.persons.apply("t1", SHOP, SEEN)
    events = [(OLD, PHONE), (HASHED, BUYER)]
    for nodes in events if plain_first else events[::-1]:
        told.see(*nodes)
    assert told.who(BUYER) == told.who(OLD)
    assert told.see(HASHED).one_id == told.who(OLD)


def test_hashes_meet_phones_that_were_known_before_the_policy_named_the_scheme() -> None:
    told = Told()
    told.see(OLD, PHONE)
    told.see(HASHED, BUYER)
    assert told.who(BUYER) != told.who(OLD)
    told.persons.apply("t1", SHOP, SEEN)
    assert told.who(BUYER) == told.who(OLD)


@pytest.mark.parametrize("cut", [PHONE, HASHED])
@pytest.mark.parametrize("seen", [PHONE, HASHED])
def test_a_cut_of_a_phone_is_one_of_its_hash_whichever_is_named_or_seen(cut: str, seen: str) -> None:
    told = Told()
    told.persons.apply("t1", SHOP, SEEN)
    told.see(OLD, HASHED)
    assert told.persons.commands.unlink("t1", OLD, cut, SEEN) == ""
    told.see(PHONE)
    told.see(OLD, seen)
    assert told.who(OLD) != told.who(PHONE) == told.who(HASHED)
    assert told.persons.commands.link("t1", OLD, seen, SEEN) == ""
    assert told.who(OLD) == told.who(PHONE) == told.who(HASHED)
    assert not told.tables.table("cuts")
    assert (
        told.persons.commands.unlink("t1", PHONE, HASHED, SEEN)
        == "it names one id twice, or one that stands for nobody"
    )


def test_the_hash_of_a_recycled_phone_is_as_contested_as_the_phone() -> None:
    told = Told()
    told.persons.apply("t1", SHOP, SEEN)
    told.see(HASHED)
    told.see(OLD, PHONE)
    told.see(NEW, PHONE)
    assert told.see(HASHED).one_id not in (told.who(OLD), told.who(NEW))
    assert told.see(HASHED) == told.see(PHONE)
    assert not {PHONE, HASHED} & set(told.persons.addresses(told.who(OLD), ()))


# Undoing


def test_a_cut_gives_each_part_the_name_of_its_founding_id() -> None:
    told = Told()
    told.see(OPENID)
    told.see(UNION, OPENID)
    told.see(UNION, PHONE)
    name = told.who(UNION)
    told.persons.take_facts()
    assert told.persons.commands.unlink("t1", OPENID, UNION, Evidence("c1", 9)) == ""
    assert told.who(OPENID) == name == told.persons.node(OPENID).node_id
    assert told.who(PHONE) == told.who(UNION) == told.persons.node(UNION).node_id
    cuts = [fact for fact in told.persons.take_facts() if isinstance(fact, Unlinked)]
    assert {(fact.a, fact.b) for fact in cuts} == {(PHONE, None), (UNION, None), (UNION, OPENID)}
    assert {fact.evidence.event_id for fact in cuts} == {"c1"}


def test_what_was_cut_stays_cut_until_an_operator_links_it() -> None:
    told = Told()
    told.see(OLD, PHONE)
    told.persons.commands.unlink("t1", OLD, PHONE, SEEN)
    told.see(OLD, PHONE)
    assert told.who(OLD) != told.who(PHONE)
    assert [fact.reason for fact in told.refused()] == []
    told.persons.commands.link("t1", OLD, PHONE, SEEN)
    assert told.who(OLD) == told.who(PHONE)


def test_an_operators_link_that_is_cut_counts_no_more() -> None:
    told = Told()
    told.see(OLD)
    told.see(PHONE)
    told.persons.commands.link("t1", OLD, PHONE, SEEN)
    assert told.who(OLD) == told.who(PHONE)
    told.persons.commands.unlink("t1", OLD, PHONE, SEEN)
    assert told.who(OLD) != told.who(PHONE)


def test_a_link_after_a_cut_makes_what_was_seen_of_the_pair_count_at_its_time() -> None:
    told = Told()
    told.see(OLD, PHONE)
    told.persons.commands.unlink("t1", OLD, PHONE, SEEN)
    told.see(NEW, PHONE)
    assert told.who(NEW) == told.who(PHONE)
    told.persons.commands.link("t1", OLD, PHONE, SEEN)
    assert told.who(OLD) == told.who(PHONE) != told.who(NEW)


def test_a_device_that_is_cut_from_its_first_login_is_of_the_second() -> None:
    told = Told()
    told.see(OLD, TABLET)
    told.see(NEW, TABLET)
    told.persons.commands.unlink("t1", OLD, TABLET, SEEN)
    assert told.who(TABLET) == told.who(NEW) != told.who(OLD)


def test_a_device_that_is_cut_from_its_last_login_goes_on_with_the_one_before() -> None:
    told, third = Told(), node("uid", "third")
    for one in (OLD, NEW, third):
        told.see(one, TABLET)
    assert told.see(TABLET).one_id == told.who(third)
    told.persons.commands.unlink("t1", third, TABLET, SEEN)
    assert told.see(TABLET).one_id == told.who(NEW)


def test_a_refusal_that_only_the_cut_link_caused_is_tried_again() -> None:
    told = Told()
    told.see(OLD, PHONE)
    told.see(NEW, PHONE)
    told.see(PHONE)
    told.persons.commands.unlink("t1", OLD, PHONE, SEEN)
    assert told.who(PHONE) == told.who(NEW) != told.who(OLD)
    assert told.see(PHONE).one_id == told.who(NEW)


def test_ids_that_still_hang_together_otherwise_stay_one_person() -> None:
    told = Told()
    told.see(UNION, OPENID, PHONE)
    told.see(PHONE, OPENID)
    told.persons.commands.unlink("t1", UNION, OPENID, SEEN)
    assert told.who(UNION) == told.who(OPENID)


def test_a_value_that_a_new_policy_blocks_leaves_its_person_and_what_it_glued_falls_apart() -> None:
    told = Told()
    told.see(PHONE, OPENID)
    told.see(PHONE, BUYER)
    told.persons.apply("t1", "policy: p\nversion: 1\nblocked: [{values: ['+8613912340001']}]", SEEN)
    assert told.who(PHONE) == ""
    assert told.who(OPENID) != told.who(BUYER)
    assert told.see(PHONE, OPENID).one_id == told.who(OPENID)


def test_what_events_said_of_their_other_ids_counts_when_the_strongest_is_blocked() -> None:
    told = Told()
    told.see(OLD, PHONE, OPENID)
    told.persons.apply("t1", "policy: p\nversion: 1\nblocked: [{kind: uid, values: [old]}]", SEEN)
    told.persons.apply("t1", "policy: p\nversion: 2\nblocked: [{kind: uid, values: [old, new]}]", SEEN)
    assert told.who(OLD) == ""
    assert told.who(PHONE) == told.who(OPENID) != ""


def test_a_policy_that_is_not_taken_changes_nothing() -> None:
    told = Told()
    before = list(told.tables.rows())
    with pytest.raises(InvalidPolicy):
        told.persons.apply("t1", "policy: p", SEEN)
    assert list(told.tables.rows()) == before


# Explaining


def test_the_shortest_chain_of_evidence_and_its_weakest_link_are_told() -> None:
    told = Told()
    told.see(OPENID)
    told.see(UNION, OPENID)
    told.see(UNION, PHONE)
    told.see(PHONE, BUYER)
    chain = told.persons.explain(OPENID, BUYER)
    assert chain is not None
    assert [(step.a, step.b, step.link.event_id) for step in chain.steps] == [
        (OPENID, UNION, "e2"),
        (UNION, PHONE, "e3"),
        (PHONE, BUYER, "e4"),
    ]
    assert chain.weakest == chain.steps[0]


def test_of_two_chains_of_equal_length_the_one_over_stronger_ids_is_told() -> None:
    told = Told()
    told.see(UNION, PHONE, TABLET)
    told.see(PHONE, OPENID)
    told.see(OPENID, TABLET)
    chain = told.persons.explain(OPENID, UNION)
    assert chain is not None
    assert [step.b for step in chain.steps] == [PHONE, UNION]


def test_there_is_no_chain_between_two_persons_or_to_an_unknown_id() -> None:
    told = Told()
    told.see(OLD)
    told.see(NEW)
    assert told.persons.explain(OLD, NEW) is None
    assert told.persons.explain(OLD, PHONE) is None
    chain = told.persons.explain(OLD, OLD)
    assert chain is not None
    assert (chain.steps, chain.weakest) == ((), None)
