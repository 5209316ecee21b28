"""What an operator reads of values and links that are held."""

from __future__ import annotations

from streams.cli.held import lines
from streams.worker.alarm import alarm


def _row(a: str, b: str, kind_b: str = "") -> dict[str, str]:
    row = {"node_a": a, "kind_a": "phone", "scope_a": "", "value_a": "+86139****0001", "node_b": b, "kind_b": kind_b}
    return row | {"scope_b": "wx" if b else "", "value_b": b and f"o-{b}", "reason": "acme@1:3 why", "event_id": "e"}


def test_a_suspected_value_is_one_line_with_its_links_counted() -> None:
    (line,) = lines([_row("p", "a", "openid"), _row("p", "b", "openid"), _row("p", "")])
    assert line["id"] == "phone:+86139****0001"
    assert (line["with_id"], line["links"]) == ("", 2)


def test_a_held_bridge_is_a_line_of_its_own() -> None:
    (line,) = lines([_row("p", "a", "openid")])
    assert (line["with_id"], line["links"]) == ("openid@wx:o-a", 1)


def _record(kind: str, value: str) -> dict[str, object]:
    return {"tenant": "acme", "a": {"kind": kind, "scope": None, "value": value}, "reason": "acme@1:3 why"}


def test_the_alarm_proposes_the_lines_that_block_the_value() -> None:
    said = alarm(_record("uid", 'guest "1"'))
    assert said.endswith('blocked:\n  - {kind: uid, values: ["guest \\"1\\""]}')
    assert "acme@1:3 why" in said


def test_the_alarm_shows_no_phone() -> None:
    said = alarm(_record("phone", "+8613912340001"))
    assert "2340001" not in said
    assert "identity.changes" in said
