"""What is remembered of ids that came together: never more than a bounded lot of it."""

from __future__ import annotations

import pytest

from streams.identity import settled


def test_a_value_that_changes_hands_forever_takes_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "_MOST", 100)
    known = settled.Settled()
    for number in range(1_000):
        login = f"u{number}"
        known.forget("device")
        known.remember((login, "device"), (login, "device"), login)
        assert known[login, "device"] == login
    assert sum(map(len, known._by_node.values())) <= 200
