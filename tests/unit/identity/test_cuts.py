"""Pairs that an operator keeps apart, by all names of their values."""

from __future__ import annotations

from streams.identity.cuts import Cuts
from streams.identity.nodes import Evidence, pair_of
from streams.journal.tables import Change, Tables

SAID = Evidence("c1", 5)
UID, PHONE, HASH = "t\x1fuid\x1f\x1fu1", "t\x1fphone\x1f\x1f+861", "t\x1fphone\x1ftmall\x1fabc"


def test_all_names_of_a_pair_are_cut_and_lifted_together() -> None:
    cuts = Cuts(Tables())
    cuts.put([pair_of(UID, PHONE), pair_of(UID, HASH)], SAID)
    assert pair_of(HASH, UID) in cuts
    assert cuts.lift([pair_of(UID, HASH)])
    assert pair_of(UID, PHONE) not in cuts
    assert not cuts.lift([pair_of(UID, HASH)])


def test_a_name_that_is_learned_is_kept_apart_from_what_the_other_was() -> None:
    cuts = Cuts(Tables())
    cuts.put([pair_of(UID, HASH)], SAID)
    assert cuts.share([PHONE, HASH]) == [UID]
    assert cuts.share([PHONE, HASH]) == []
    assert cuts.lift([pair_of(UID, PHONE)])
    assert pair_of(UID, HASH) not in cuts


def test_a_row_from_before_cuts_had_groups_is_one_by_itself() -> None:
    tables = Tables([Change("cuts", pair_of(UID, HASH), tuple(SAID))])
    cuts = Cuts(tables)
    assert cuts.lift([pair_of(UID, HASH)])
    assert pair_of(UID, HASH) not in cuts
