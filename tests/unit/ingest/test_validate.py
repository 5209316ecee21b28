"""Which events are refused, with which reason and in which words."""

from __future__ import annotations

import pytest

from schemas.records import Reason
from streams.ingest.validate import DAY_MS, Limits, shown
from tests.unit.ingest.raw import APP, NOW_MS, event, identity, intake, stand

LIMITS = Limits()


def _letters(**changes: object) -> list[tuple[str, str]]:
    good = event(event_id="neighbour")
    batch = intake().process(stand((APP, good), (APP, event(**changes)), (APP, good)))
    assert batch.frames[0].events.num_rows == 3 - len(batch.dead_letters)
    return [(letter["reason"], letter["detail"]) for letter in batch.dead_letters]


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"event_id": ""}, Reason.INVALID_EVENT_ID, "event_id is empty"),
        ({"event_id": "e" * 129}, Reason.INVALID_EVENT_ID, "event_id has 129 characters, at most 128 are allowed"),
        ({"event_id": "e\t"}, Reason.INVALID_EVENT_ID, "event_id has a control character, none is allowed"),
        ({"tenant": "x"}, Reason.UNKNOWN_TENANT, "tenant 'x' is not among the tenants declared here"),
        ({"tenant": ""}, Reason.UNKNOWN_TENANT, "tenant '' is not among the tenants declared here"),
        (
            {"event_type": "Page"},
            Reason.INVALID_EVENT_TYPE,
            "event_type 'Page' is not snake_case of at most 64 characters ([a-z][a-z0-9_]*)",
        ),
        (
            {"event_time": NOW_MS + 2 + DAY_MS},
            Reason.EVENT_TIME_IN_FUTURE,
            "event_time is 86400001 ms after the record was received, at most 86400000 are allowed",
        ),
        (
            {"event_time": 1},
            Reason.EVENT_TIME_TOO_OLD,
            "event_time is 1 ms since 1970, at least 946684800000 is allowed",
        ),
        ({"amount_fen": -5}, Reason.NEGATIVE_AMOUNT, "amount_fen is -5, at least 0 is allowed"),
        (
            {"properties": {f"p{at}": "" for at in range(101)}},
            Reason.TOO_MANY_PROPERTIES,
            "properties has 101 entries, at most 100 are allowed",
        ),
        (
            {"properties": {"note": "张" * 8193}},
            Reason.VALUE_TOO_LONG,
            "property 'note' has 8193 characters, at most 8192 are allowed",
        ),
        (
            {"category": "张" * 257},
            Reason.VALUE_TOO_LONG,
            "category has 257 characters, at most 256 are allowed",
        ),
        ({"scene": "a\x1fb"}, Reason.CONTROL_CHARACTERS, "scene has a control character, none is allowed"),
    ],
)
def test_a_bad_event_is_refused(changes: dict[str, object], reason: Reason, detail: str) -> None:
    assert _letters(**changes) == [(reason, detail)]


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": "张" * 128},
        {"event_type": "a" + "9" * 63},
        {"event_time": NOW_MS + 1 + DAY_MS},
        {"event_time": LIMITS.oldest_ms},
        {"amount_fen": 0},
        {"properties": {f"p{at}": "a:b:c" for at in range(100)}},
        {"properties": {"note": "张" * 8192, "lines": "a\nb"}},
        {"category": "张" * 256, "item_id": "é·"},
        {"identities": [identity("uid", str(at)) for at in range(20)]},
        {"identities": []},
    ],
)
def test_an_event_at_the_limit_is_kept(changes: dict[str, object]) -> None:
    assert _letters(**changes) == []


def test_too_large_and_too_many_ids_are_refused_before_they_are_unfolded() -> None:
    large = {"properties": {"note": "x" * LIMITS.event_bytes}}
    many = {"identities": [identity("uid", str(at)) for at in range(21)]}
    assert [_letters(**changes)[0][0] for changes in (large, many)] == [Reason.TOO_LARGE, Reason.TOO_MANY_IDENTITIES]


def test_the_first_rule_that_refuses_an_event_names_the_reason() -> None:
    assert [reason for reason, _ in _letters(event_id="", tenant="x", amount_fen=-1)] == [Reason.INVALID_EVENT_ID]


@pytest.mark.parametrize("private", ["13800138000", "+8613800138000", "someone@example.com"])
def test_a_detail_shows_no_personal_data(private: str) -> None:
    details = [detail for field in ("tenant", "event_type") for _, detail in _letters(**{field: f"x {private} y"})]
    assert len(details) == 2
    assert not any(private in detail for detail in details)


def test_a_long_text_is_shown_in_part() -> None:
    assert shown("x" * 1000) == repr("x" * 64)
