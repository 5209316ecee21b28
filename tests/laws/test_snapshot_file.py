"""A snapshot gives back the rows that went in; one that is not as it was written gives an error, never other rows."""

from __future__ import annotations

import random
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.journal.tables import Change, Tables
from streams.worker.state import snapshot
from streams.worker.state.origin import Origin
from streams.worker.state.snapshot import Header, UnusableSnapshot, read, verify, view, write
from streams.worker.state.store import Position
from tests.support.changelogs import Rows, after, by_key
from tests.support.profiles import law

_LEAVES = st.one_of(st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=8), st.binary(max_size=8))
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
_ROWS = st.lists(st.builds(Change, st.text(max_size=3), st.text(max_size=8), _VALUES), max_size=40)
HEADER = Header(3, Position(5, 9), Origin("cluster", "journal", "changelog"), 7, 1_700_000_000_000)


def _file(rows: list[Change], part_rows: int = 7) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "_ROWS", part_rows)
        return b"".join(write(HEADER, view(Tables(rows))))


def _read(content: bytes) -> tuple[Header, Rows]:
    header, parts = read(BytesIO(content))
    return header, by_key(change for part in parts for change in part.changes())


@law
@given(_ROWS, st.integers(1, 9))
def test_what_went_in_comes_out(rows: list[Change], part_rows: int) -> None:
    content = _file(rows, part_rows)
    verify(BytesIO(content))
    assert _read(content) == (HEADER, after({}, rows))


@law
@given(_ROWS, st.data())
def test_a_file_that_is_not_as_it_was_written_is_refused(rows: list[Change], data: st.DataObject) -> None:
    content = _file(rows)
    harmed = _harmed(content, data)
    if harmed != content:
        for reading in (_read, lambda given: verify(BytesIO(given))):
            with pytest.raises(UnusableSnapshot):
                reading(harmed)


def _harmed(content: bytes, data: st.DataObject) -> bytes:
    at, size = data.draw(st.integers(0, len(content) - 1)), data.draw(st.sampled_from([1, 4, 64]))
    middle = content[at : at + size]
    kind = data.draw(st.sampled_from(["cut off", "left out", "doubled", "zeros", "garbage", "bit", "longer"]))
    changed: dict[str, bytes] = {
        "left out": b"",
        "doubled": middle + middle,
        "zeros": bytes(len(middle)),
        "garbage": random.Random(at).randbytes(len(middle)),
        "bit": bytes([middle[0] ^ 1 << data.draw(st.integers(0, 7))]) + middle[1:],
    }
    if kind == "cut off":
        return content[:at]
    if kind == "longer":
        return content + middle
    return content[:at] + changed[kind] + content[at + size :]


_PIECES = list(write(HEADER, view(Tables([Change("abc"[at % 3], str(at), at) for at in range(9)]))))


@pytest.mark.parametrize(
    "order", [[0, 1, 2, 4, 5], [0, 1, 2, 3, 3, 4, 5], [0, 1, 3, 2, 4, 5], [0, 1, 5], [0, 2, 3, 4, 5]]
)
def test_parts_that_are_whole_but_not_in_their_place_are_noticed(order: list[int]) -> None:
    assert len(_PIECES) == 6
    with pytest.raises(UnusableSnapshot):
        _read(b"".join(_PIECES[at] for at in order))


@pytest.mark.parametrize("content", [b"", b"siyu state 2\n", b"siyu state 1\n", b"{}"])
def test_what_is_no_snapshot_is_refused(content: bytes) -> None:
    with pytest.raises(UnusableSnapshot):
        _read(content)
