"""A phone of which only a shop's hash was seen, and every command that names it in plain."""

from __future__ import annotations

import hashlib

import pytest

from streams.compact.rows import Node
from streams.facts import identity_records
from streams.identity.changes import Erased, Freed, IdentityFact, Unlinked
from streams.identity.nodes import NOBODY, Evidence
from streams.identity.persons import Persons
from streams.identity.policy import DEFAULT, compile_policy
from streams.journal.tables import Tables

SHOPS = """
policy: shops
version: 1
hashed_phones:
  - {scope: tmall, algorithm: sha256, salt: s}
  - {scope: jd, algorithm: md5, salt: j}
seen_with: {phone: 2 ever}
"""
SAID = Evidence("c", 1_000_000)
NUMBER = "+8613911112222"


def node(kind: str, value: str, scope: str = "") -> str:
    return "\x1f".join(("t1", kind, scope, value))


PHONE = node("phone", NUMBER)
TMALL = node("phone", hashlib.sha256(f"s{NUMBER}".encode()).hexdigest(), "tmall")
JD = node("phone", hashlib.md5(f"j{NUMBER}".encode(), usedforsecurity=False).hexdigest(), "jd")
UID, OTHER = node("uid", "u1"), node("uid", "u2")


def card(number: int) -> str:
    return node("member_card", f"c{number}")


class Told:
    """Persons under the shops' policy, and events told one by one."""

    def __init__(self, *events: tuple[str, ...]) -> None:
        self.tables = Tables()
        self.persons = Persons(self.tables, b"salt", compile_policy(SHOPS, DEFAULT))
        for nodes in events:
            self.see(*nodes)

    def see(self, *nodes: str, at_ms: int = 0) -> Node | None:
        left = self.persons.unerased(nodes, at_ms)
        return None if left is None else self.persons.resolve(left, Evidence("e", at_ms))

    def who(self, node: str) -> str:
        return self.persons.node(node).one_id

    def facts(self) -> list[IdentityFact]:
        return self.persons.take_facts()

    def mentions(self, text: str) -> list[str]:
        """The tables that have this text in a row."""
        return sorted({table for table, *row in self.tables.rows() if text in repr(row)})


def erased(told: Told) -> list[Erased]:
    return [fact for fact in told.facts() if isinstance(fact, Erased)]


def test_erasing_a_phone_takes_out_who_showed_a_hash_of_it() -> None:
    told = Told((UID, TMALL), (OTHER,))
    gone = told.who(UID)
    told.facts()
    assert told.persons.commands.erase("t1", PHONE, SAID) == ""
    (fact,) = erased(told)
    assert (fact.one_id, fact.kind) == (gone, "phone")
    assert {one for one, _ in fact.nodes} == {UID, PHONE, TMALL, JD}
    assert told.persons.everyone().keys() == {told.who(OTHER)}
    assert told.mentions(NUMBER) == told.mentions(TMALL.split("\x1f")[3]) == []


def test_erasing_a_phone_that_a_pattern_blocks_leaves_nothing_that_names_it() -> None:
    told = Told()
    told.persons.apply("t1", NEWER + "blocked: [{kind: phone, pattern: '[+]86139.*'}]\n", SAID)
    told.see(UID, PHONE)
    assert told.mentions(NUMBER)
    assert told.persons.commands.erase("t1", PHONE, SAID) == ""
    assert told.mentions(NUMBER) == []
    assert told.who(UID) != ""


def test_a_link_by_an_operator_is_told_as_one() -> None:
    told = Told((UID,), (OTHER,))
    told.facts()
    told.persons.commands.link("t1", UID, OTHER, SAID)
    reasons = {record["kind"]: record["reason"] for _, _, record in identity_records(told.facts())}
    assert reasons == {"linked": "command", "merged": "command"}
    told.see(UID, card(1))
    assert [record["reason"] for _, _, record in identity_records(told.facts())] == ["shared_event"]


@pytest.mark.parametrize("name", [PHONE, TMALL, JD])
def test_what_happened_before_comes_back_by_no_name_of_the_phone(name: str) -> None:
    told = Told((UID, TMALL))
    told.persons.commands.erase("t1", PHONE, SAID)
    assert told.see(name) is None
    returned = told.see(name, at_ms=SAID.event_time_ms + 1)
    assert returned is not None
    assert returned.node_id != Told((name,)).persons.node(name).node_id


def test_each_person_with_a_hash_of_the_phone_is_taken_out() -> None:
    told = Told((UID, TMALL), (OTHER, JD))
    gone = {told.who(UID), told.who(OTHER)}
    told.facts()
    told.persons.commands.erase("t1", PHONE, SAID)
    facts = erased(told)
    assert {fact.one_id for fact in facts} == gone
    assert not told.persons.everyone()
    nodes = [one for fact in facts for one, _ in fact.nodes]
    assert sorted(nodes) == sorted({UID, OTHER, PHONE, TMALL, JD})


def test_a_plain_phone_is_taken_out_and_whom_its_hash_was_refused_for_stays() -> None:
    told = Told((OTHER, TMALL), (UID, PHONE))
    assert told.who(UID) != told.who(OTHER)
    told.persons.commands.erase("t1", PHONE, SAID)
    assert not told.who(UID)
    assert told.who(TMALL) == told.who(OTHER)


def test_a_person_with_a_cut_leaves_no_phone_in_plain_behind() -> None:
    told = Told((UID, TMALL), (OTHER,))
    told.persons.commands.unlink("t1", OTHER, PHONE, SAID)
    assert "cuts" in told.mentions(NUMBER)
    told.persons.commands.erase("t1", PHONE, SAID)
    assert told.mentions(NUMBER) == []


def test_unlinking_tells_the_pair_by_each_name_that_is_known() -> None:
    told = Told((UID, TMALL))
    told.facts()
    assert told.persons.commands.unlink("t1", UID, PHONE, SAID) == ""
    assert told.who(UID) != told.who(TMALL)
    pairs = [(fact.a, fact.b) for fact in told.facts() if isinstance(fact, Unlinked) and fact.b]
    assert pairs == [(UID, TMALL)]
    both = Told((UID, TMALL), (UID, PHONE))
    both.facts()
    both.persons.commands.unlink("t1", UID, TMALL, SAID)
    pairs = [(fact.a, fact.b) for fact in both.facts() if isinstance(fact, Unlinked) and fact.b]
    assert sorted(pairs, key=str) == sorted([(UID, PHONE), (UID, TMALL)], key=str)


def test_what_came_together_with_a_hash_again_and_again_goes_to_the_phone_once_that_is_known() -> None:
    told = Told((TMALL, card(1)), (TMALL, card(1)))
    told.see(UID, PHONE)
    assert told.see(TMALL, card(1)) == told.persons.node(PHONE)


def test_linking_joins_who_showed_the_hash() -> None:
    told = Told((UID, TMALL), (card(1),))
    assert told.persons.commands.link("t1", card(1), PHONE, SAID) == ""
    assert told.who(card(1)) == told.who(UID)


def test_linking_by_a_phone_that_is_new_joins_no_other_who_showed_its_hash_if_limits_speak_against_it() -> None:
    told = Told((OTHER, TMALL), (UID,))
    assert told.persons.commands.link("t1", UID, PHONE, SAID) == ""
    assert told.who(UID) != told.who(OTHER)


def till() -> Told:
    """Three cards with one phone, by its hash: it is found out."""
    told = Told(*((card(number), TMALL) for number in range(3)))
    assert set(told.tables.table("suspects")) == {TMALL}
    told.facts()
    return told


def words(told: Told) -> set[tuple[str, str | None, str]]:
    return {(fact.a, fact.b, fact.word) for fact in told.facts() if isinstance(fact, Freed) and fact.word}


def test_a_suspected_hash_is_released_by_its_phone() -> None:
    told = till()
    assert told.persons.commands.release("t1", PHONE, None, SAID) == ""
    assert words(told) == {(TMALL, None, "released")}
    assert not told.tables.table("suspects")
    assert told.who(card(0)) == told.who(TMALL)


def test_a_suspected_hash_is_rejected_by_its_phone() -> None:
    told = till()
    assert told.persons.commands.reject("t1", PHONE, None, SAID) == ""
    assert (TMALL, None, "rejected") in words(told)
    assert set(told.tables.table("suspects")) == {TMALL, PHONE}


def test_one_link_of_a_suspected_hash_is_released_by_its_phone() -> None:
    told = till()
    assert told.persons.commands.release("t1", card(1), PHONE, SAID) == ""
    assert {tuple(sorted((a, b or ""))) for a, b, _ in words(told)} == {(card(1), TMALL)}
    assert told.who(card(1)) == told.who(TMALL)
    assert told.who(card(2)) != told.who(TMALL)


def test_one_link_of_a_suspected_hash_is_rejected_by_its_phone() -> None:
    told = till()
    assert told.persons.commands.reject("t1", card(1), PHONE, SAID) == ""
    assert {tuple(sorted((a, b or ""))) for a, b, _ in words(told)} == {(card(1), TMALL)}
    told.persons.commands.release("t1", PHONE, None, SAID)
    assert told.who(card(1)) != told.who(TMALL)
    assert told.who(card(2)) == told.who(TMALL)


def test_a_phone_of_which_nothing_is_held_can_be_neither_released_nor_rejected_with_another() -> None:
    told = Told((UID, TMALL))
    assert told.persons.commands.release("t1", PHONE, None, SAID) == "it is not held"
    assert told.persons.commands.release("t1", UID, PHONE, SAID) == "it is not held"
    assert told.persons.commands.reject("t1", UID, PHONE, SAID) == "it is not held"


def found_out(*events: tuple[str, ...]) -> bool:
    return bool(Told(*events).tables.table("suspects"))


def test_with_whom_a_phone_was_seen_counts_whichever_of_its_names_was_shown() -> None:
    by_hash = [(card(number), TMALL) for number in range(2)]
    assert not found_out(*by_hash, (PHONE,))
    assert found_out(*by_hash, (card(2), PHONE))
    assert not found_out(*by_hash, (card(0), PHONE), (card(1), PHONE))
    assert found_out((card(0), TMALL), (card(1), JD), (card(2), PHONE))


def test_a_till_that_is_found_out_by_both_names_together_joins_nobody_any_more() -> None:
    told = Told((card(0), TMALL), (card(1), TMALL), (card(2), PHONE))
    assert set(told.tables.table("suspects")) == {PHONE, TMALL}
    assert len({told.who(one) for one in (card(0), card(1), card(2), PHONE, TMALL)}) == 5


def test_a_policy_that_tells_which_hashes_are_of_a_phone_finds_a_till_out() -> None:
    told = Told()
    told.persons.apply("t1", "policy: shops\nversion: 1\nseen_with: {phone: 2 ever}\n", SAID)
    for number in range(2):
        told.see(card(number), TMALL)
        told.see(card(number + 2), PHONE)
    assert not told.tables.table("suspects")
    told.persons.apply("t1", SHOPS.replace("version: 1", "version: 2"), SAID)
    assert set(told.tables.table("suspects")) == {PHONE, TMALL}


def test_a_phone_that_was_released_is_not_found_out_by_its_hash() -> None:
    told = Told(*((card(number), PHONE) for number in range(3)))
    told.persons.commands.release("t1", PHONE, None, SAID)
    for number in range(3, 9):
        told.see(card(number), TMALL)
    assert not told.tables.table("suspects")


# Phones that name nobody

LISTED = f"blocked: [{{kind: phone, values: ['{NUMBER}']}}]\n"
FITTING = "blocked: [{kind: phone, pattern: '\\+861391111[0-9]{4}'}]\n"
NEWER = SHOPS.replace("version: 1", "version: 2")


def blocking(policy: str, *events: tuple[str, ...]) -> Told:
    told = Told()
    told.persons.apply("t1", policy, SAID)
    for nodes in events:
        told.see(*nodes)
    return told


def apart(told: Told, *nodes: str) -> bool:
    return len({told.who(node) for node in nodes}) == len(nodes)


@pytest.mark.parametrize("name", [TMALL, JD])
def test_a_hash_of_a_phone_that_is_blocked_by_name_names_nobody(name: str) -> None:
    told = blocking(SHOPS + LISTED, (card(0), name), (card(1), name), (name,))
    assert apart(told, card(0), card(1))
    assert not told.who(name)
    assert told.see(name) == NOBODY


def test_a_shops_hash_of_a_phone_that_tests_use_names_nobody() -> None:
    tested = node("phone", hashlib.sha256(b"s+8613800138000").hexdigest(), "tmall")
    told = Told((card(0), tested), (card(1), tested))
    assert apart(told, card(0), card(1))
    assert not told.who(tested)


def test_a_hash_names_nobody_once_its_phone_is_seen_and_a_pattern_blocks_that() -> None:
    told = blocking(SHOPS + FITTING, (card(0), TMALL), (card(1), TMALL))
    assert not apart(told, card(0), card(1))
    told.see(UID, PHONE)
    assert apart(told, card(0), card(1), UID)
    told.see(card(2), TMALL)
    told.see(card(2), JD)
    assert {told.who(name) for name in (PHONE, TMALL, JD)} == {""}
    assert told.persons.members(told.who(card(2))) == [card(2)]


@pytest.mark.parametrize("block", [LISTED, FITTING])
@pytest.mark.parametrize("seen", [(TMALL, PHONE), (PHONE, TMALL)])
def test_a_policy_that_blocks_a_phone_takes_its_hashes_out_of_their_persons(block: str, seen: tuple[str, ...]) -> None:
    told = blocking(SHOPS, *((card(number), name) for number, name in enumerate(seen)))
    assert not apart(told, card(0), card(1))
    told.persons.apply("t1", NEWER + block, SAID)
    assert apart(told, card(0), card(1))
    assert {told.who(name) for name in (PHONE, TMALL)} == {""}


def test_a_policy_that_tells_of_hashes_and_blocks_the_phone_takes_both_out() -> None:
    told = blocking("policy: shops\nversion: 1\n", (card(0), TMALL), (card(1), TMALL), (UID, PHONE))
    told.persons.apply("t1", NEWER + FITTING, SAID)
    assert apart(told, card(0), card(1), UID)
    assert {told.who(name) for name in (PHONE, TMALL)} == {""}


def test_a_phone_that_is_blocked_no_more_is_known_by_its_hash_again() -> None:
    told = blocking(SHOPS + FITTING, (UID, PHONE), (card(0), TMALL))
    told.persons.apply("t1", NEWER, SAID)
    told.see(UID, TMALL)
    told.see(card(0), JD)
    assert told.who(UID) == told.who(card(0)) == told.who(PHONE)


@pytest.mark.parametrize("name", [PHONE, TMALL])
def test_no_command_takes_a_phone_that_is_blocked(name: str) -> None:
    told = blocking(SHOPS + LISTED, (UID, name))
    assert told.persons.commands.link("t1", UID, name, SAID)
    assert told.persons.commands.unlink("t1", UID, name, SAID)
    assert told.persons.commands.reject("t1", name, None, SAID)
    assert told.persons.members(told.who(UID)) == [UID]


def test_two_phones_cut_before_anybody_showed_them_are_apart_once_a_policy_tells_their_hashes() -> None:
    second = "+8613922223333"
    other = node("phone", hashlib.sha256(f"s{second}".encode()).hexdigest(), "tmall")
    told = Told()
    told.persons.apply("t1", "policy: plain\nversion: 1\nhashed_phones: []\n", SAID)
    assert told.persons.commands.unlink("t1", PHONE, node("phone", second), SAID) == ""
    told.see(TMALL, other)
    assert told.who(TMALL) == told.who(other) != ""
    told.persons.apply("t1", SHOPS.replace("version: 1", "version: 2").replace("shops", "plain"), SAID)
    assert told.who(TMALL) != told.who(other)
    assert "" not in (told.who(TMALL), told.who(other))


def test_a_blocked_phone_leaves_no_name_behind_in_the_state() -> None:
    told = Told()
    told.persons.apply("t1", SHOPS.replace("version: 1", "version: 2") + f"blocked: [{{values: ['{NUMBER}']}}]\n", SAID)
    told.see(UID, PHONE, card(1))
    told.persons.commands.erase("t1", UID, SAID)
    assert told.tables.table("aliases") == {}
