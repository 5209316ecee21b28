"""An event is remembered for the window, and for no more than an hour longer."""

from __future__ import annotations

import pytest

from streams.journal.dedup import HOUR_MS, Dedup
from streams.journal.tables import Tables

NOW = 472_222 * HOUR_MS
WINDOW = 24 * HOUR_MS


def _seen(tables: Tables, at: int = NOW) -> Dedup:
    dedup = Dedup(tables, WINDOW)
    assert dedup.first("t1", "e1", at)
    dedup.end(0)
    return dedup


@pytest.mark.parametrize(("later", "known"), [(WINDOW, True), (WINDOW + HOUR_MS, True), (WINDOW + HOUR_MS + 1, False)])
def test_a_bucket_is_forgotten_once_the_window_after_its_end_has_passed(later: int, known: bool) -> None:
    dedup = _seen(Tables())
    dedup.expire(NOW + later)
    assert dedup.first("t1", "e1", NOW + later) is not known


def test_an_event_at_the_end_of_its_hour_is_remembered_for_the_whole_window() -> None:
    dedup = _seen(Tables(), NOW + HOUR_MS - 1)
    dedup.expire(NOW + HOUR_MS - 1 + WINDOW)
    assert not dedup.first("t1", "e1", NOW + HOUR_MS + WINDOW)


def test_expiry_is_told_ahead_also_for_what_the_open_frame_brought() -> None:
    dedup = Dedup(Tables(), WINDOW)
    dedup.first("t1", "e1", NOW)
    assert dedup.expires_ms == NOW + HOUR_MS + WINDOW
    dedup.end(0)
    assert dedup.expires_ms == NOW + HOUR_MS + WINDOW


def test_what_the_open_frame_brought_expires_as_rows_do() -> None:
    dedup = Dedup(Tables(), WINDOW)
    dedup.first("t1", "e1", NOW)
    dedup.expire(NOW + WINDOW + HOUR_MS + 1)
    assert len(dedup) == 0


def test_tenants_and_event_ids_are_told_apart() -> None:
    dedup = _seen(Tables())
    assert dedup.first("t2", "e1", NOW)
    assert dedup.first("t1", "e2", NOW)
    assert not dedup.first("t1", "e1", NOW)


def test_a_restored_memory_knows_and_forgets_the_same() -> None:
    tables = Tables()
    _seen(tables)
    restored = Dedup(Tables(tables.rows()), WINDOW)
    assert not restored.first("t1", "e1", NOW)
    assert restored.expires_ms == NOW + HOUR_MS + WINDOW
    restored.expire(NOW + WINDOW + HOUR_MS + 1)
    assert len(restored) == 0


def test_two_frames_in_one_hour_are_both_kept() -> None:
    tables = Tables()
    dedup = _seen(tables)
    dedup.first("t1", "e2", NOW)
    dedup.end(1)
    assert len(Dedup(Tables(tables.rows()), WINDOW)) == 2
