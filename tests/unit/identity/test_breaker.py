"""Values that too many show, and links that would join too much: what is held, and what becomes of it."""

from __future__ import annotations

from hashlib import sha256

import pytest

from streams.compact.rows import Node
from streams.identity.changes import Freed, Held, IdentityFact, Linked, Refused, Unlinked
from streams.identity.nodes import Evidence
from streams.identity.persons import Persons
from streams.identity.policy import DEFAULT, compile_policy
from streams.identity.refusals import Refusal
from streams.journal.tables import Tables

SAID = Evidence("c", 1)


def node(kind: str, value: str, scope: str = "") -> str:
    return "\x1f".join(("t1", kind, scope, value))


TILL = node("phone", "+8613912340001")
MINUTE = 60_000


def card(number: int) -> str:
    return node("member_card", f"c{number}")


def account(number: int) -> str:
    return node("uid", f"u{number}")


class Told:
    """Persons, and events told one by one, a minute apart if nothing else is said."""

    def __init__(self, policy: str = "") -> None:
        self.tables = Tables()
        self.persons = Persons(self.tables, b"salt", compile_policy(policy, DEFAULT) if policy else DEFAULT)
        self._number = 0

    def see(self, *nodes: str, apart_ms: int = MINUTE) -> Node:
        self._number += 1
        return self.persons.resolve(nodes, Evidence(f"e{self._number}", self._number * apart_ms))

    def who(self, node: str) -> str:
        return self.persons.node(node).one_id

    def facts(self) -> list[IdentityFact]:
        return self.persons.take_facts()


def till(customers: int, told: Told | None = None) -> Told:
    """A shop types its own number for every customer who shows a card; each has used the card with an account."""
    told = told or Told()
    for number in range(customers):
        told.see(TILL, card(number))
        told.see(account(number), card(number))
    return told


def test_a_tills_phone_is_found_out_and_what_it_joined_before_falls_apart() -> None:
    assert till(8).who(card(0)) == till(8).who(card(1))
    told = till(9)
    assert len({told.who(card(number)) for number in range(9)}) == 9
    assert told.persons.members(told.who(TILL)) == [TILL]


def test_what_only_the_till_spoilt_is_tried_again() -> None:
    assert till(8).who(account(1)) != till(8).who(card(1))
    told = till(9)
    assert all(told.who(account(number)) == told.who(card(number)) for number in range(9))


def test_later_events_go_on_without_the_value() -> None:
    told = till(9)
    seen = told.see(TILL, card(20), node("openid", "o20", "wx"))
    assert seen.one_id == told.who(card(20)) == told.who(node("openid", "o20", "wx"))
    assert told.see(TILL).one_id == told.who(TILL)
    assert TILL not in told.persons.usable((TILL, card(20)))


def test_nobody_is_reached_at_a_till() -> None:
    told = till(9)
    assert told.persons.addresses(told.who(TILL), (TILL,)) == []
    assert card(3) in told.persons.addresses(told.who(card(3)), ())


def test_what_earlier_events_said_of_their_other_ids_is_known_when_the_strongest_is_found_out() -> None:
    told = Told()
    openids = [node("openid", f"o{number}", "wx") for number in range(9)]
    for number in range(9):
        told.see(TILL, card(number), openids[number])
    assert [told.who(openid) for openid in openids] == [told.who(card(number)) for number in range(9)]
    assert len({told.who(card(number)) for number in range(9)}) == 9


def test_each_held_link_and_the_value_are_facts_with_the_policys_line() -> None:
    told = till(9)
    held = [fact for fact in told.facts() if isinstance(fact, Held)]
    assert {(fact.a, fact.b) for fact in held} == {(TILL, card(number)) for number in range(9)} | {(TILL, None)}
    assert {fact.reason.partition(" ")[2] for fact in held} == {"phone: seen with 8 per 1d"}


def test_growth_counts_within_its_time_and_all_in_all() -> None:
    slow = Told()
    for number in range(15):
        slow.see(TILL, card(number), apart_ms=86_400_000)
    assert TILL not in slow.tables.table("suspects")
    slow.see(TILL, card(15), apart_ms=86_400_000)
    assert slow.tables.table("suspects")[TILL][3].endswith("phone: seen with 15 ever")


def test_ids_count_for_each_issuer() -> None:
    told = Told()
    for number in range(40):
        told.see(node("unionid", "n"), node("openid", f"o{number}", f"wx{number}"))
    assert not told.tables.table("suspects")


def test_devices_count_apart_from_other_ids() -> None:
    told = Told()
    for number in range(30):
        told.see(account(1), node("device_id", f"d{number}"))
    assert not told.tables.table("suspects")


def test_a_kiosk_is_nobodys() -> None:
    told, kiosk = Told(), node("device_id", "kiosk")
    visitor = told.see(kiosk)
    for number in range(13):
        told.see(account(number), kiosk)
    assert told.see(kiosk).one_id == visitor.one_id == told.who(kiosk)
    assert visitor.one_id not in {told.who(account(number)) for number in range(13)}


def test_a_tenant_may_set_other_limits_or_none() -> None:
    few = till(3, Told("policy: few\nversion: 1\nseen_with: {phone: 2 ever}\n"))
    assert few.tables.table("suspects")[TILL][3] == "few@1:3 phone: seen with 2 ever"
    none = till(20, Told("policy: none\nversion: 1\nseen_with: {phone: []}\n"))
    assert TILL not in none.tables.table("suspects")


# An operator's word


def test_a_released_value_joins_as_if_it_had_never_been_held() -> None:
    told, other = till(9), till(9, Told("policy: none\nversion: 1\nseen_with: {phone: []}\n"))
    assert told.persons.commands.release("t1", TILL, None, SAID) == ""
    assert _sets(told) == _sets(other)
    till(20, told)
    assert not told.tables.table("suspects")


def test_a_rejected_value_stays_apart_and_is_held_no_more() -> None:
    told = till(9)
    told.facts()
    assert told.persons.commands.reject("t1", TILL, None, SAID) == ""
    facts = told.facts()
    assert [(fact.a, fact.b) for fact in facts if isinstance(fact, Freed) and fact.word == "rejected"] == [(TILL, None)]
    assert {fact.reason for fact in facts if isinstance(fact, Refused)} == {"rejected"}
    assert told.persons.members(told.who(TILL)) == [TILL]


def test_a_value_may_be_rejected_before_it_is_found_out() -> None:
    told = till(4)
    assert told.persons.commands.reject("t1", TILL, None, SAID) == ""
    assert len({told.who(card(number)) for number in range(4)}) == 4
    assert told.persons.commands.reject("t1", node("uid", "never seen"), None, SAID) == ""


def test_one_held_link_can_be_released_alone() -> None:
    told = till(9)
    assert told.persons.commands.release("t1", TILL, card(3), SAID) == ""
    assert told.who(TILL) == told.who(card(3)) != told.who(card(4))
    assert told.see(TILL).one_id == told.who(card(3))


def test_what_is_held_may_be_named_by_the_hash_of_its_node() -> None:
    told = till(9)
    hashed = node("node", told.persons.node(TILL).node_id)
    assert (
        told.persons.commands.release("t2", hashed.replace("t1", "t2", 1), None, SAID)
        == "nothing that is held has this hash"
    )
    assert told.persons.commands.release("t1", hashed, None, SAID) == ""
    assert not told.tables.table("suspects")


@pytest.mark.parametrize("word", ["release", "reject"])
def test_a_pair_that_is_not_held_is_refused(word: str) -> None:
    told = till(2)
    assert getattr(told.persons.commands, word)("t1", TILL, card(0), SAID) == "it is not held"
    assert told.persons.commands.release("t1", TILL, None, SAID) == "it is not held"


# Phones of which only a hash arrived

SHOP = "policy: shop\nversion: 1\nhashed_phones: [{scope: tmall, algorithm: sha256, salt: s}]\n"
HASHED = node("phone", sha256(b"s+8613912340001").hexdigest(), "tmall")


def hashed_till(customers: int) -> Told:
    told = Told(SHOP)
    for number in range(customers):
        told.see(HASHED, card(number))
    return told


def test_a_till_that_is_found_out_by_its_hash_is_found_out_when_its_number_is_seen() -> None:
    told = hashed_till(9)
    assert told.see(TILL, HASHED, card(20)).one_id == told.who(card(20)) != told.who(TILL)
    assert told.see(TILL, card(21)).one_id == told.who(card(21))
    held = [fact for fact in told.facts() if isinstance(fact, Held) and fact.b is None]
    assert [fact.a for fact in held] == [HASHED, TILL]
    assert len({fact.reason for fact in held}) == 1


def test_what_an_operator_said_of_a_hash_holds_for_its_phone() -> None:
    rejected, released, one_card = hashed_till(2), hashed_till(9), hashed_till(9)
    assert rejected.persons.commands.reject("t1", HASHED, None, SAID) == ""
    assert released.persons.commands.release("t1", HASHED, None, SAID) == ""
    assert one_card.persons.commands.release("t1", HASHED, card(3), SAID) == ""
    for told in (rejected, released, one_card):
        for number in range(9):
            told.see(TILL, card(number))
    assert rejected.persons.members(rejected.who(TILL)) == [TILL]
    assert not released.tables.table("suspects")
    assert one_card.persons.members(one_card.who(TILL)) == sorted((TILL, card(3), HASHED))


def test_both_forms_are_released_by_either_and_a_link_held_before_by_its_own_ids() -> None:
    for said in (HASHED, TILL):
        told = hashed_till(9)
        told.see(TILL)
        assert told.persons.commands.release("t1", HASHED, card(1), SAID) == ""
        assert told.persons.commands.release("t1", said, None, SAID) == ""
        assert not told.tables.table("suspects")
        assert told.who(TILL) == told.who(HASHED) == told.who(card(1)) == told.who(card(2))


# Bridges


def _two() -> Told:
    """Two persons, each with a phone, an e-mail and an id of their own; one event shows ids of both."""
    told = Told()
    for number in range(2):
        told.see(node("unionid", "n") if number else account(0), node("phone", f"+861391234567{number}"))
        told.see(node("phone", f"+861391234567{number}"), node("email", f"m{number}@x.org"))
    told.see(account(0), node("unionid", "n"))
    return told


def test_one_link_does_not_join_two_persons_who_contradict_each_other() -> None:
    told = _two()
    assert told.who(account(0)) != told.who(node("unionid", "n"))
    held = [fact for fact in told.facts() if isinstance(fact, Held)]
    assert [(fact.a, fact.b) for fact in held] == [(account(0), node("unionid", "n"))]
    assert held[0].reason.endswith("bridge: rivals 2")


def test_a_released_bridge_joins_them_and_a_rejected_one_is_cut() -> None:
    released, rejected = _two(), _two()
    pair = account(0), node("unionid", "n")
    assert released.persons.commands.release("t1", *pair, SAID) == ""
    assert released.who(pair[0]) == released.who(pair[1])
    assert rejected.persons.commands.reject("t1", *pair, SAID) == ""
    assert any(isinstance(fact, Unlinked) for fact in rejected.facts())
    rejected.see(*pair)
    assert rejected.who(pair[0]) != rejected.who(pair[1])


def test_one_link_does_not_join_two_large_persons() -> None:
    told = Told("policy: large\nversion: 1\nbridge: {large: 3, rivals: 0}\n")
    for number in range(2):
        for scope in ("a", "b"):
            told.see(node("email", f"m{number}@x.org"), node("openid", f"{number}{scope}", f"{number}{scope}"))
    told.see(node("email", "m0@x.org"), node("email", "m1@x.org"))
    assert told.who(node("email", "m0@x.org")) != told.who(node("email", "m1@x.org"))
    assert [fact.reason for fact in told.facts() if isinstance(fact, Held)] == ["large@1:3 bridge: large 3"]


def test_an_operators_link_needs_no_release() -> None:
    told = _two()
    assert told.persons.commands.link("t1", account(0), node("unionid", "n"), SAID) == ""
    assert told.who(account(0)) == told.who(node("unionid", "n"))
    facts = told.facts()
    assert any(isinstance(fact, Linked) for fact in facts)
    assert any(isinstance(fact, Freed) for fact in facts)


def _sets(told: Told) -> set[tuple[str, ...]]:
    return {tuple(sorted(n for n in nodes if n.count("\x1f") == 3)) for nodes in told.persons.everyone().values()} - {
        ()
    }


def ended(told: Told) -> set[tuple[str, str | None]]:
    return {(fact.a, fact.b) for fact in told.facts() if isinstance(fact, Freed)}


def test_a_bridge_that_another_policy_lets_pass_waits_no_more() -> None:
    told, email = Told(), node("email", "e@shop.cn")
    phones = [node("phone", f"+861391234000{number}") for number in (2, 3)]
    for number, phone in enumerate(phones):
        told.see(phone, card(number))
        told.see(phone, email)
    assert [row[5] for row in told.tables.table("refused").values()] == [True]
    told.facts()
    told.persons.apply("t1", "policy: free\nversion: 1\nbridge: {large: 0, rivals: 0}", SAID)
    told.see(phones[1], email)
    assert told.who(phones[0]) == told.who(phones[1])
    assert [row[5] for row in told.tables.table("refused").values()] == [False]
    assert ended(told) == {(email, phones[1])}


def test_a_held_bridge_that_another_policy_refuses_waits_no_more() -> None:
    told, email = Told(), node("email", "e@shop.cn")
    phones = [node("phone", f"+861391234000{number}") for number in (2, 3)]
    for number, phone in enumerate(phones):
        told.see(phone, card(number))
        told.see(phone, email)
    told.facts()
    told.persons.apply("t1", "policy: one\nversion: 1\nkinds: {phone: {hold: 1 ever}}", SAID)
    told.see(phones[1], email)
    assert ended(told) == {(email, phones[1])}


def test_a_suspected_value_that_is_blocked_is_held_no_more() -> None:
    told = till(9)
    told.facts()
    told.persons.apply("t1", 'policy: b\nversion: 1\nblocked: [{kind: phone, values: ["+8613912340001"]}]', SAID)
    assert (TILL, None) in ended(told)


def test_a_pair_that_an_operator_linked_is_not_told_as_held_when_its_value_is_found_out() -> None:
    told = till(8)
    told.see(account(1), TILL)
    told.persons.commands.link("t1", TILL, account(1), SAID)
    told.facts()
    told.see(TILL, card(8))
    held = {(fact.a, fact.b) for fact in told.facts() if isinstance(fact, Held)}
    assert (TILL, None) in held
    assert not {pair for pair in held if account(1) in pair and TILL in pair}


def test_what_was_let_pass_and_is_held_again_is_told_again() -> None:
    told = Told()
    told.see(TILL, card(0))
    people, pair = told.persons._people, "\x1e".join(sorted((TILL, card(0))))
    for held in (True, False, True):
        people.refuse(TILL, card(0), Refusal("e", 1, 0, "line", "policy", held))
        words = [type(fact) for fact in told.facts() if isinstance(fact, (Held, Freed))]
        assert words == [Held if held else Freed]
    assert told.tables.table("refused")[pair][5]


def test_of_an_event_the_values_of_its_first_pair_are_looked_at_first() -> None:
    """The account is found out by both phones, so that the second phone has one account left."""
    told = Told("policy: few\nversion: 1\nseen_with: {uid: 1 ever, phone: 1 ever}\n")
    other = node("phone", "+8613912340002")
    told.see(account(1), other)
    told.see(account(2), TILL, other)
    assert set(told.tables.table("suspects")) == {account(2)}
    assert told.who(account(1)) == told.who(other) == told.who(TILL)


def test_a_login_that_an_operator_made_once_more_stays_when_the_device_is_found_out() -> None:
    told, kiosk = Told("policy: few\nversion: 1\nseen_with: {device_id: 1 ever}\n"), node("device_id", "d1")
    told.see(account(1), kiosk)
    assert told.persons.commands.link("t1", account(1), kiosk, SAID) == ""
    told.see(account(2), kiosk)
    assert kiosk in told.tables.table("suspects")
    assert told.who(account(1)) == told.who(kiosk) != told.who(account(2))
