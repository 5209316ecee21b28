"""An order on which there is no decision has an explanation that the engine bears out, for any journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import given

from streams.delivery.zones import zone
from streams.engine import Engine, Outputs
from streams.explain.case import Case, Happening
from streams.explain.matching import never_matched
from streams.rules.book import Compiled, compile_rule
from tests.support.frames import fold, tables
from tests.support.journals import rule_text
from tests.support.lines import Applied
from tests.support.profiles import law
from tests.support.stories import COUPON, Story, stories


def _happened(rows: Sequence[dict[str, Any]], tenant: str, order: str) -> list[Happening]:
    return [
        Happening(row["event_id"], row["event_type"], row["event_time_ms"], row["received_ms"], _fields(row))
        for row in rows
        if (row["tenant"], row["order_id"]) == (tenant, order)
    ]


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "event_time": row["event_time_ms"], "properties": {}}


def _explained(rule: Compiled, engine: Engine, outputs: Sequence[Outputs]) -> Iterator[tuple[bool, str]]:
    """For each order: whether there is a decision on it, and what the explanation would be if there were none."""
    rows = tables(outputs)
    decided = {(row["tenant"], row["business_key"]) for row in rows.get("decisions", ()) if row["rule"] == "coupon"}
    where = zone("Asia/Shanghai")
    assert where is not None
    for tenant, order in sorted(
        {(row["tenant"], row["order_id"]) for row in rows.get("events", ()) if row["order_id"]}
    ):
        happened = _happened(rows["events"], tenant, order)
        progress = {key: at for key, at in engine.clock.progress().items() if key.startswith("events.raw.")}
        case = Case(happened, order, 0, engine.clock.now, progress, where)
        yield (tenant, order) in decided, never_matched(rule, case).state


def _is_everyones(line: Applied) -> bool:
    return (line.tenant, line.rule.name) == ("*", COUPON.name)


@law
@given(stories(controls=False))
def test_an_order_without_a_decision_is_never_said_to_have_matched_and_one_that_waits_has_none(story: Story) -> None:
    (everyones,) = (line for line in story.lines if isinstance(line, Applied) and _is_everyones(line))
    lines = tuple(line for line in story.lines if not isinstance(line, Applied) or line is everyones)
    engine, outputs = fold(Story(lines, frozenset()).frames)
    for decided, state in _explained(compile_rule(rule_text(everyones.rule)), engine, outputs):
        assert (decided, state) not in {(False, "not_stored"), (True, "not_matched"), (True, "waiting")}
