"""Laws of normalising: twice is once, the fast path for phones is the library, and no value leaks."""

from __future__ import annotations

import phonenumbers
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.columns import IDS
from schemas.flatten import FROM_PRODUCER
from schemas.records import ID_KINDS
from streams.ingest.identifiers import clean, clean_one
from streams.ingest.normalise import normalise
from streams.ingest.phones import e164, e164_column

Id = tuple[str, str, str]

_LAW = settings(deadline=None)

_DIGITS = st.text("0123456789", min_size=1, max_size=14)
_PHONES = st.one_of(
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    st.from_regex(r"(\+86|0086|86)?[- ]{0,2}1[0-9]{2}[- ]?[0-9]{4}[- ]?[0-9]{4}", fullmatch=True),
    st.builds(lambda prefix, rest: prefix + rest, st.sampled_from(["", "+", "0", "00", "17951", "+852", "1"]), _DIGITS),
    _DIGITS.map(lambda digits: "".join(chr(ord(digit) - ord("0") + ord("０")) for digit in digits)),
)
_EMAILS = st.from_regex(r"[A-Za-zİÄß .]{0,3}@?[A-Za-z]{0,3}@[A-Za-z.]{0,5}", fullmatch=True)
_TEXTS = st.one_of(st.text(max_size=5), st.sampled_from([" u-1 ", "　", "x" * 257, "a\x00b", "\x85", "é·ü", ""]))
_VALUES = st.one_of(_PHONES, _EMAILS, _TEXTS)
_KINDS = st.one_of(st.sampled_from(ID_KINDS), st.sampled_from(["phone", "email", "wechat", "", "a:b;c", "Phone"]))
_IDS = st.tuples(_KINDS, st.sampled_from(["", " ", "wx1", " wx1", "wx\n1", "x" * 300]), _VALUES)


def _columns(ids: list[Id]) -> list[pa.Array]:
    columns = zip(*ids, strict=True) if ids else ((), (), ())
    return [pa.array(column, pa.string()) for column in columns]


def _by_library(number: str) -> str | None:
    try:
        parsed = phonenumbers.parse(number, "CN")
    except phonenumbers.NumberParseException:
        return None
    valid = phonenumbers.is_valid_number(parsed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if valid else None


@_LAW
@given(st.lists(_PHONES, max_size=20))
def test_the_fast_path_for_phones_is_the_library(numbers: list[str]) -> None:
    assert e164_column(pa.array(numbers, pa.string())).to_pylist() == [_by_library(number) for number in numbers]


def test_the_fast_path_is_the_library_for_every_range_of_chinese_mobiles() -> None:
    heads = [f"1{head:04d}" for head in range(10_000)]
    numbers = [written for head in heads for written in (f"{head}138000", f"+86{head}138000")]
    assert e164_column(pa.array(numbers)).to_pylist() == [_by_library(number) for number in numbers]


@_LAW
@given(_PHONES)
def test_a_phone_in_e164_stays_as_it_is(number: str) -> None:
    written = e164(number)
    assert written is None or e164(written) == written


@_LAW
@given(st.lists(_IDS, max_size=20))
@example([("email", "", "İ@x.cn"), ("phone", "", "１３８００１３８０００"), ("openid", "wx", "\x85o")])
def test_cleaning_twice_changes_nothing(ids: list[Id]) -> None:
    once = clean(*_columns(ids))
    good = [at for at, reason in enumerate(once.reason.to_pylist()) if reason is None]
    kept = [pa.array(column.take(pa.array(good, pa.int64())), pa.string()) for column in once[:3]]
    twice = clean(*kept)
    assert twice.reason.null_count == len(good)
    assert [column.to_pylist() for column in twice[:3]] == [column.to_pylist() for column in kept]


@_LAW
@given(st.lists(_IDS, max_size=20))
def test_an_id_is_cleaned_alone_as_it_is_among_others(ids: list[Id]) -> None:
    together = clean(*_columns(ids))
    for at, one in enumerate(ids):
        reason = together.reason[at].as_py()
        cleaned = reason or tuple(column[at].as_py() for column in together[:3])
        assert clean_one(*one) == cleaned


@_LAW
@given(st.lists(st.tuples(st.lists(_IDS, max_size=6), st.one_of(st.none(), _IDS)), max_size=6))
def test_an_event_keeps_each_good_id_once_and_notes_each_bad_one(events: list[tuple[list[Id], Id | None]]) -> None:
    found = normalise(*_batches(events))
    ids: dict[int, list[Id]] = {}
    for one in found.ids.to_pylist():
        ids.setdefault(one["row"], []).append((one["kind"], one["scope"], one["value"]))
    for row, (raw, referrer) in enumerate(events):
        cleaned = [clean_one(*one) for one in raw]
        assert ids.get(row, []) == list(dict.fromkeys(one for one in cleaned if isinstance(one, tuple)))
        bad = [one for one in [*cleaned, *([clean_one(*referrer)] if referrer else [])] if isinstance(one, str)]
        notes = found.events["set_aside"][row].as_py()
        assert [note.partition(":")[2] for note in notes.split(";") if note] == bad
        _assert_referrer(found.events, row, referrer)
    assert found.set_aside.total() == sum(
        len(note.split(";")) for note in found.events["set_aside"].to_pylist() if note
    )


def _assert_referrer(events: pa.RecordBatch, row: int, referrer: Id | None) -> None:
    got = tuple(events[f"referrer_{part}"][row].as_py() for part in ("kind", "scope", "value"))
    cleaned = clean_one(*referrer) if referrer else ""
    assert got == (cleaned if isinstance(cleaned, tuple) else (None, None, None))


def _batches(events: list[tuple[list[Id], Id | None]]) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    needed = dict.fromkeys(("event_id", "tenant", "event_type", "touchpoint", "properties"), "")
    rows: list[dict[str, object]] = []
    for _, referrer in events:
        parts = dict(zip(("referrer_kind", "referrer_scope", "referrer_value"), referrer or (), strict=False))
        rows.append({**needed, "event_time_ms": 0, **parts})
    ids = [dict(zip(IDS.names, (row, *one), strict=True)) for row, (mine, _) in enumerate(events) for one in mine]
    return pa.RecordBatch.from_pylist(rows, FROM_PRODUCER), pa.RecordBatch.from_pylist(ids, IDS)
