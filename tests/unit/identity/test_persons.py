"""Persons come of shared ids; the oldest keeps its name."""

from __future__ import annotations

from streams.compact.rows import Node
from streams.identity.changes import Linked, Merged, Moved
from streams.identity.nodes import NOBODY, Evidence
from streams.identity.persons import Persons
from streams.journal.tables import Tables

SEEN = Evidence("e1", 1)


def node(kind: str, value: str, scope: str = "", tenant: str = "t1") -> str:
    return "\x1f".join((tenant, kind, scope, value))


UID, PHONE = node("uid", "u1"), node("phone", "+8613900000001")
OPENID, COOKIE = node("openid", "o1", "wx"), node("cookie", "c")


def persons() -> Persons:
    return Persons(Tables(), b"salt")


def test_an_event_belongs_to_its_strongest_id_whatever_their_order() -> None:
    known = persons()
    assert known.resolve([COOKIE, OPENID, UID], SEEN).node_id == known.node(UID).node_id


def test_an_event_of_blocked_ids_only_belongs_to_nobody() -> None:
    known = persons()
    assert known.resolve([node("uid", "null")], SEEN) == NOBODY
    assert known.resolve([node("uid", "null"), node("phone", "0000")], SEEN) == NOBODY
    assert known.everyone() == {}


def test_a_blocked_id_joins_nobody() -> None:
    known = persons()
    known.resolve([UID, node("cookie", "0")], SEEN)
    known.resolve([PHONE, node("cookie", "0")], SEEN)
    assert known.node(UID).one_id != known.node(PHONE).one_id


def test_the_older_person_keeps_its_name_though_the_younger_has_the_stronger_id() -> None:
    known = persons()
    old, young = known.resolve([COOKIE], SEEN), known.resolve([UID], SEEN)
    known.resolve([COOKIE, UID], SEEN)
    assert {known.node(UID).one_id, known.node(COOKIE).one_id} == {old.one_id}
    assert known.members(young.one_id) == []


def test_the_larger_person_also_goes_into_the_older() -> None:
    known = persons()
    old = known.resolve([COOKIE], SEEN)
    known.resolve([UID, PHONE, OPENID], SEEN)
    known.resolve([COOKIE, PHONE], SEEN)
    assert known.everyone() == {old.one_id: sorted([COOKIE, OPENID, PHONE, UID])}


def test_three_persons_become_one_in_one_event() -> None:
    known = persons()
    first = known.resolve([PHONE], SEEN)
    known.resolve([UID], SEEN)
    known.resolve([OPENID], SEEN)
    known.take_facts()
    known.resolve([OPENID, UID, PHONE], SEEN)
    assert list(known.everyone()) == [first.one_id]
    assert len([fact for fact in known.take_facts() if isinstance(fact, Merged)]) == 2


def test_the_same_value_of_another_kind_scope_or_tenant_is_another_node() -> None:
    known = persons()
    nodes = [node("openid", "x", "wa"), node("openid", "x", "wb"), node("uid", "x"), node("uid", "x", tenant="t2")]
    assert len({known.resolve([each], SEEN).one_id for each in nodes}) == 4


def test_what_is_known_makes_no_new_fact() -> None:
    known = persons()
    known.resolve([UID, PHONE], SEEN)
    known.take_facts()
    known.resolve([PHONE, UID], Evidence("e2", 2))
    assert known.take_facts() == []


def test_facts_come_numbered_in_the_order_in_which_they_became_true() -> None:
    known = persons()
    known.resolve([UID], SEEN)
    known.resolve([PHONE], SEEN)
    known.resolve([PHONE, UID, COOKIE], SEEN)
    facts = known.take_facts()
    assert [fact.seq for fact in facts] == sorted({fact.seq for fact in facts})
    assert [type(fact) for fact in facts] == [Moved, Moved, Moved, Merged, Linked, Moved, Linked]


def test_without_the_salt_the_name_of_a_person_cannot_be_computed() -> None:
    other = Persons(Tables(), b"other")
    assert persons().resolve([UID], SEEN).one_id != other.resolve([UID], SEEN).one_id


def test_usable_ids_come_strongest_first_and_without_the_blocked() -> None:
    known = persons()
    nodes = [COOKIE, node("uid", "null"), PHONE]
    known.resolve(nodes, SEEN)
    assert known.usable(nodes) == (PHONE, COOKIE)


def test_an_unknown_node_is_nobody() -> None:
    assert persons().node(UID) == NOBODY == Node("", "", 0, 0)


def test_the_ids_of_a_person_are_told_in_alphabetical_order_also_after_a_merge() -> None:
    known = persons()
    for nodes in ([UID], [COOKIE, OPENID], [PHONE, UID, OPENID]):
        one_id = known.resolve(nodes, SEEN).one_id
    assert known.members(one_id) == known.everyone()[one_id] == sorted([COOKIE, OPENID, PHONE, UID])
