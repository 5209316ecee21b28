"""What a newer policy decides again, and what it leaves as it was."""

from __future__ import annotations

from streams.identity.changes import Moved, Unlinked
from tests.unit.identity.test_hashed_phones import JD, OTHER, PHONE, SAID, SHOPS, TMALL, UID, Told, card, node

NEWER = SHOPS.replace("version: 1", "version: 2")
OPENID, UNIONID = node("openid", "o1", "wx"), node("unionid", "n1")
OPENID_FIRST = (
    "priority: [openid, uid, unionid, external_userid, phone, email, member_card, marketplace_id, device_id, cookie]\n"
)


def apply(told: Told, text: str) -> None:
    told.persons.apply("t1", text, SAID)


def test_the_weaker_id_of_a_pair_is_so_by_the_policy_that_decides() -> None:
    """The phone had claimed the openid; the newer policy has it the other way round."""
    told = Told((UID, PHONE), (PHONE, card(1)), (PHONE, card(9)), (UNIONID, OPENID), (OPENID, card(2)), (PHONE, OPENID))
    assert told.who(UID) == told.who(UNIONID)
    limits = "kinds: {member_card: {hold: 1 ever}}\nblocked: [{values: [c9]}]\n"
    apply(told, NEWER + OPENID_FIRST + limits)
    assert told.who(UID) != told.who(UNIONID)
    before, after = told.see(OPENID), told.see(PHONE)
    assert before is not None
    assert before.one_id == told.who(UNIONID)
    assert after is not None
    assert after.one_id not in (told.who(UID), told.who(UNIONID))


def test_a_value_that_is_contested_again_is_nobodys_again() -> None:
    """In between it was not, and its own node had come home to its person."""
    third, number = node("uid", "u3"), node("phone", "+8613922223333")
    told = Told((UID, OPENID), (OTHER, PHONE), (PHONE, OPENID))
    apart = told.see(OPENID)
    apply(told, NEWER + "blocked: [{values: [u2]}]\n")
    back = told.see(OPENID)
    assert back == told.persons.node(OPENID)
    told.see(third, number)
    told.facts()
    told.see(number, OPENID)
    again = told.see(OPENID)
    assert apart is not None
    assert again is not None
    assert again.one_id == again.node_id == apart.node_id
    left = [fact for fact in told.facts() if isinstance(fact, (Moved, Unlinked))]
    assert [getattr(fact, "was", None) or getattr(fact, "one_id", None) for fact in left] == [told.who(UID)] * 2
    assert told.persons.members(told.who(UID)) == sorted((UID, OPENID, PHONE))


def test_a_hash_that_is_told_of_later_decides_nothing_about_the_phones_other_hashes() -> None:
    listed = f"blocked: [{{values: ['{TMALL.rpartition(chr(0x1F))[2]}']}}]\nbridge: {{large: 2}}\n"
    told = Told()
    apply(told, SHOPS + listed)
    told.see(UID, JD)
    told.see(PHONE, OPENID)
    assert told.who(UID) != told.who(PHONE)
    apply(told, NEWER + "bridge: {large: 0}\n")
    assert told.who(UID) != told.who(PHONE)
