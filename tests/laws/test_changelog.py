"""A commit comes out of the changelog as it went in, in however many parts, and whatever stands before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.journal.tables import Change
from streams.worker.state import changelog
from streams.worker.state.changelog import Assembler, Commit, pack
from tests.support.profiles import law

_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.text(max_size=8), st.binary(max_size=8))
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
_CHANGES = st.lists(st.builds(Change, st.text(max_size=4), st.text(max_size=8), _VALUES), max_size=8)
_COMMITS = st.lists(st.builds(Commit, st.integers(0, 2**62), _CHANGES), min_size=1, max_size=5)
_SIZES = st.integers(1, 80)


def _packed(commit: Commit, part_bytes: int) -> list[bytes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changelog, "PART_BYTES", part_bytes)
        return pack(commit)


def _assembled(parts: Iterable[bytes]) -> list[Commit]:
    assembler = Assembler()
    return [commit for part in parts if (commit := assembler.add(part)) is not None]


@law
@given(_COMMITS, _SIZES)
def test_commits_of_any_number_of_parts_come_out_as_they_went_in(commits: list[Commit], part_bytes: int) -> None:
    assert _assembled(part for commit in commits for part in _packed(commit, part_bytes)) == commits


@law
@given(_COMMITS, _SIZES)
def test_a_commit_comes_out_with_its_last_part_and_not_before(commits: list[Commit], part_bytes: int) -> None:
    assembler = Assembler()
    for commit in commits:
        *before, last = _packed(commit, part_bytes)
        assert [assembler.add(part) for part in before] == [None] * len(before)
        assert assembler.add(last) == commit


@law
@given(_COMMITS, _SIZES, st.data())
def test_a_commit_that_was_cut_short_and_begun_again_counts_once(
    commits: list[Commit], part_bytes: int, data: st.DataObject
) -> None:
    written: list[bytes] = []
    for commit in commits:
        parts = _packed(commit, part_bytes)
        for _ in range(data.draw(st.integers(0, 2))):
            written += parts[: data.draw(st.integers(0, len(parts) - 1))]
        written += parts
    assert _assembled(written) == commits


@law
@given(_COMMITS, _SIZES, st.data())
def test_reading_from_within_a_commit_gives_those_after_it(
    commits: list[Commit], part_bytes: int, data: st.DataObject
) -> None:
    parts = _packed(commits[0], part_bytes)
    begun = data.draw(st.integers(1, len(parts)))
    rest = [part for commit in commits[1:] for part in _packed(commit, part_bytes)]
    assert _assembled([*parts[begun:], *rest]) == commits[1:]


def test_parts_of_two_writers_are_never_put_together() -> None:
    first, second = (Commit(journal, [Change("t", str(row), journal) for row in range(3)]) for journal in (5, 9))
    theirs, ours = (_packed(commit, 1) for commit in (first, second))
    assert len(ours) == 3
    assert _assembled([theirs[0], ours[0], theirs[1], theirs[2]]) == []


def test_a_record_of_a_version_to_come_is_refused() -> None:
    record: list[Any] = [99, 0, 0, True, []]
    with pytest.raises(ValueError, match="version 99"):
        Assembler().add(msgpack.packb(record))
