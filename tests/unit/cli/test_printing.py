"""What commands print: nothing that a terminal would obey, no phone in full."""

import base64
from collections import Counter
from typing import Any

import pytest

from schemas.codec import encode
from schemas.masking import hidden
from schemas.registry import LocalRegistry
from streams.cli.deadletters import decoded, record_of
from streams.cli.tables import print_records, shown
from streams.worker.clients import Record

LETTER: dict[str, Any] = {
    "stage": "ingest",
    "reason": "unknown_tenant",
    "detail": "tenant 'x' is not among the tenants declared here",
    "raw": b"\x00bytes",
    "raw_key": None,
    "topic": "events.raw.pos",
    "partition": 1,
    "offset": 7,
    "schema_id": 1,
    "time": 1_700_000_000_123,
}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("phone 13912345678 is taken", "phone 139****5678 is taken"),
        ("phone +8613912345678", "phone +86139****5678"),
        ("mail zhang.san@example.com.", "mail z*************ple.com."),
        ("event_time is 1700000000000 ms since 1970", "event_time is 1700000000000 ms since 1970"),
        ("the record has 1234567 bytes", "the record has 1234567 bytes"),
    ],
)
def test_phones_and_mails_are_masked_and_other_numbers_are_not(text: str, seen: str) -> None:
    assert hidden(text) == seen


def test_a_dead_letter_shows_its_bytes_only_when_asked() -> None:
    assert "raw" not in record_of(LETTER, raw=False)
    assert base64.b64decode(record_of(LETTER, raw=True)["raw"]) == b"\x00bytes"


def test_a_dead_letter_has_its_time_in_utc_and_its_size() -> None:
    record = record_of(LETTER, raw=False)
    assert (record["time"], record["bytes"]) == ("2023-11-14T22:13:20.123+00:00", 6)


def test_records_that_are_no_dead_letters_are_counted_and_passed() -> None:
    registry = LocalRegistry()
    good = encode("dead_letter", LETTER, registry.id_of("dead_letter"))
    values = [b"", b"nonsense", good, b"\x00\x00\x00\xff\xff"]
    unreadable: Counter[str] = Counter()
    records = [Record(0, at, 0, None, value) for at, value in enumerate(values)]
    assert [one["offset"] for one in decoded(records, registry, unreadable)] == [7]
    assert unreadable.total() == 3


def test_a_table_obeys_no_escape_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_records([{"a": "\x1b[31mred\nline", "b": "[bold]x[/bold]"}], ("a", "b"), as_json=False)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert r"\x1b[31mred\nline" in printed
    assert "[bold]x[/bold]" in printed


def test_json_lines_keep_chinese_and_types(capsys: pytest.CaptureFixture[str]) -> None:
    print_records([{"a": "优惠券", "b": 1, "c": None}], ("a", "b", "c"), as_json=True)
    assert capsys.readouterr().out == '{"a": "优惠券", "b": 1, "c": null}\n'


def test_a_long_value_is_not_cut_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    print_records([{"a": "x" * 500}], ("a",), as_json=False)
    assert "x" * 500 in capsys.readouterr().out


@pytest.mark.parametrize(("value", "seen"), [(None, ""), (1.5, "1.5"), (["券"], '["券"]'), ("价格", "价格")])
def test_values_are_shown_on_one_line(value: object, seen: str) -> None:
    assert shown(value) == seen
