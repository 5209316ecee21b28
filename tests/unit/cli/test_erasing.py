"""What an operator reads of an erasure before it is done."""

from __future__ import annotations

from streams.cli.erasing import stays
from streams.cli.person import Change, Id, Person


def _id(node: str, kind: str, scope: str = "") -> Id:
    return Id(node, kind, scope, node, "", 0)


def _person(*changes: tuple[str, str, str]) -> Person:
    """Of uid u and phone p; others have uid v, device d and a shop's hash h. `changes`: kind and the two nodes."""
    ids = {one.node: one for one in (_id("u", "uid"), _id("p", "phone"))}
    others = {one.node: one for one in (_id("v", "uid"), _id("d", "device_id"), _id("h", "phone", "tmall"))}
    told = tuple(Change(kind, "", "", a, b, "e", 0, "", n) for n, (kind, a, b) in enumerate(changes))
    return Person("acme", "one", ids, others, {}, (), told, {})


def test_an_id_that_another_claims_stays_with_them() -> None:
    assert stays(_person(("refused", "v", "p"), ("refused", "u", "d"), ("linked", "v", "u"))) == ["phone:p"]


def test_a_hash_of_the_phone_that_another_has_stays_with_them() -> None:
    assert stays(_person(("refused", "p", "h"))) == ["phone@tmall:h"]
    assert stays(_person(("held", "p", "h"), ("refused", "u", "h"))) == ["phone@tmall:h"]


def test_nothing_stays_where_nobody_else_has_shown_anything() -> None:
    assert stays(_person(("held", "p", ""), ("unlinked", "v", "p"))) == []
