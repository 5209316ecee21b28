"""A recorded journal: what was written is read, and what is not whole is refused."""

import io

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.journal.recording import Header, NoRecording, Recorded, read, write

HEADER = Header(shards=4, recorded=(0, 2), recorded_ms=1_700_000_000_000)
RECORDS = [Recorded(0, 0, b"a"), Recorded(2, 0, b""), Recorded(0, 5, b"ccc")]


def written(records: list[Recorded]) -> bytes:
    file = io.BytesIO()
    assert write(file, HEADER, records) == len(records)
    return file.getvalue()


@given(st.lists(st.builds(Recorded, st.integers(0, 1023), st.integers(0, 2**63 - 1), st.binary(max_size=100))))
def test_what_was_written_is_read(records: list[Recorded]) -> None:
    header, found = read(io.BytesIO(written(records)))
    assert header == HEADER
    assert list(found) == records


def test_a_recording_that_was_cut_short_is_noticed_wherever_it_was() -> None:
    whole = written(RECORDS)
    for length in range(len(whole)):
        with pytest.raises(NoRecording):
            list(read(io.BytesIO(whole[:length]))[1])


@pytest.mark.parametrize(
    "head", [{"event_id": "a"}, ["siyu.journal", 2, {}], ["siyu.journal", 1, {"parts": 1}], 7, ["other", 1, {}]]
)
def test_another_file_is_refused_at_once(head: object) -> None:
    with pytest.raises(NoRecording):
        read(io.BytesIO(msgpack.packb(head)))


@pytest.mark.parametrize("record", [1, [1, 2], [0, 0, "text"], ["0", 0, b""]])
def test_a_record_of_another_kind_is_refused(record: object) -> None:
    head = msgpack.packb(["siyu.journal", 1, HEADER._asdict()])
    with pytest.raises(NoRecording):
        list(read(io.BytesIO(head + msgpack.packb(record)))[1])


def test_a_large_frame_is_read() -> None:
    large = [Recorded(0, 0, bytes(16 << 20))]
    assert list(read(io.BytesIO(written(large)))[1]) == large
