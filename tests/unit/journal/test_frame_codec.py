"""A journal frame survives its bytes."""

from __future__ import annotations

from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.journal.frame import Frame, decode_frame, encode_frame
from tests.support.frames import CONTROL, ORDERS, Ev, Journal, Said, part, size
from tests.support.profiles import law
from tests.support.stories import Story, stories


def _frame() -> Frame:
    command = {"command_id": "c", "a": {"kind": "uid", "scope": None, "value": "u"}, "time": 5, "b": None}
    items: list[Ev | Said] = [
        Said(1, "command", command),
        Ev(2, order="o1", ids=(("openid", "wx", "o1"),)),
        Ev(3, fen=None),
    ]
    return Journal().lane((ORDERS, CONTROL), items, {ORDERS: 9}).frames[0]


def _same(one: Frame, other: Frame) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in Frame.__slots__ if name not in ("events", "ids"))


def test_a_frame_is_the_same_after_encoding_and_decoding() -> None:
    frame = replace(_frame(), fetched_ms=7)
    back = decode_frame(encode_frame(frame))
    assert _same(back, frame)
    assert back.events.equals(frame.events)
    assert back.ids.equals(frame.ids)


def test_a_frame_without_rows_keeps_its_ranges_and_columns() -> None:
    frame = part(_frame(), 0, 0)
    back = decode_frame(encode_frame(frame))
    assert back.ranges == frame.ranges
    assert back.events.schema.equals(frame.events.schema)
    assert back.ids.schema.equals(frame.ids.schema)


def test_a_sliced_batch_carries_its_own_rows_only() -> None:
    frame = part(_frame(), 2, 3)
    assert decode_frame(encode_frame(frame)).events.column("event_time_ms").to_pylist() == [3]


def test_a_frame_of_another_version_is_refused_by_name() -> None:
    packed = msgpack.packb([2, *msgpack.unpackb(encode_frame(_frame()))[1:]])
    with pytest.raises(ValueError, match="journal frame of version 2, this worker reads version 1"):
        decode_frame(packed)


@law
@given(stories(), st.data())
def test_the_parts_of_any_frame_cover_it_without_gap_or_overlap(story: Story, data: st.DataObject) -> None:
    frame = data.draw(st.sampled_from(story.frames))
    at = data.draw(st.integers(0, size(frame)))
    first, second = part(frame, 0, at), part(frame, at, size(frame))
    assert [a.end for a in first.ranges] == [b.start for b in second.ranges]
    assert size(first) + size(second) == size(frame)
    assert first.events.num_rows + second.events.num_rows == frame.events.num_rows
