"""An engine over what a commit kept goes on as the one that was lost would have."""

from __future__ import annotations

from collections.abc import Iterable

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from schemas.frames import encode_resolved
from streams.engine import Outputs
from streams.journal.frame import decode_frame, encode_frame
from streams.journal.tables import Change, Tables
from streams.worker.state.snapshot import view
from tests.support.frames import fold, public
from tests.support.profiles import law
from tests.support.stories import Story, campaigns, stories


@law
@given(stories(untrue=True) | campaigns(untrue=True), st.data())
def test_a_restored_engine_goes_on_byte_for_byte(story: Story, data: st.DataObject) -> None:
    frames = story.frames
    at = data.draw(st.integers(0, len(frames)))
    engine, outputs = fold(frames)
    lost, _ = fold(frames[:at])
    restored, later = fold(frames[at:], Tables(_stored(lost.tables.rows())), at)
    assert _bytes(later) == _bytes(outputs[at:])
    assert public(later) == public(outputs[at:])
    assert _stored(restored.tables.rows()) == _stored(engine.tables.rows())


@law
@given(stories(untrue=True) | campaigns(untrue=True))
def test_restoring_from_the_changes_of_every_commit_gives_the_same_rows(story: Story) -> None:
    engine, _ = fold([])
    kept: list[Change] = []
    for at, frame in enumerate(story.frames):
        engine.step(at, frame)
        kept += _stored(engine.tables.take_changes())
        assert list(Tables(kept).rows()) == list(Tables(_stored(engine.tables.rows())).rows())


@law
@given(stories(untrue=True) | campaigns(untrue=True), st.data())
def test_a_row_that_a_snapshot_has_still_to_write_is_not_changed_by_what_comes_later(
    story: Story, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(story.frames)))
    engine, _ = fold(story.frames[:at])
    before, rows = msgpack.packb(list(view(engine.tables))), view(engine.tables)
    for offset, frame in enumerate(story.frames[at:], at):
        engine.step(offset, frame)
    assert msgpack.packb(list(rows)) == before


@law
@given(stories(untrue=True) | campaigns(untrue=True))
def test_a_replay_of_the_whole_journal_as_bytes_gives_the_same_bytes(story: Story) -> None:
    _, outputs = fold(story.frames)
    _, again = fold(decode_frame(encode_frame(frame)) for frame in story.frames)
    assert _bytes(again) == _bytes(outputs)
    assert public(again) == public(outputs)


def _stored(changes: Iterable[Change]) -> list[Change]:
    return [Change(*msgpack.unpackb(msgpack.packb(tuple(change)), use_list=False)) for change in changes]


def _bytes(outputs: Iterable[Outputs]) -> list[bytes]:
    return [encode_resolved(output.resolved) for output in outputs]
