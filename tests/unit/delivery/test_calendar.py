"""Instants by the wall clock, also where it is turned."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from streams.delivery.calendar import next_at
from streams.delivery.zones import zone


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def where(name: str) -> ZoneInfo:
    found = zone(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "minute", "at", "following"),
    [
        ("Asia/Shanghai", 9 * 60, "2023-11-15T01:00", "2023-11-15T01:00"),
        ("Asia/Shanghai", 9 * 60, "2023-11-15T01:00:00.001", "2023-11-16T01:00"),
        ("America/New_York", 9 * 60, "2023-11-15T20:00", "2023-11-16T14:00"),
        ("Pacific/Auckland", 0, "2023-11-15T11:30", "2023-11-16T11:00"),
        (
            "Europe/Paris",
            2 * 60 + 30,
            "2024-03-31T00:00",
            "2024-03-31T01:30",
        ),  # leapt over: half an hour after the leap
        ("Europe/Paris", 2 * 60 + 30, "2024-10-26T22:00", "2024-10-27T00:30"),  # shown twice: the first one
    ],
)
def test_the_next_instant_that_shows_a_time(name: str, minute: int, at: str, following: str) -> None:
    assert next_at(minute, ms(at), where(name)) == ms(following)
