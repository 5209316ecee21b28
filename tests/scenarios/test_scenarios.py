"""The stories of semantics.md, told to the engine: a journal of events and progress, and what is to come of it.

A line of a journal is an event (`at` received, `time` happened), progress of all sources or `of` one, a `receipt` on
the `attempt` to send for an order or other `cause` (`of_step` of a journey), a `policy` or a `rule` from then on, a
`link` or `unlink`, or a new set of `sources`. `merging` is the merge policy, the usual one if none is given. Sources
under `lagging` are read by a worker of their own. Every line is a frame. Times are of one day, or ISO with a zone. A
story's rules are the shipped one with changes by path; null takes a field away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.records import ID_KINDS
from streams.engine import Outputs
from streams.journal.frame import Partition
from tests.support.frames import APP, CONTROL, ORDERS, Ev, Journal, Said, fold, sources
from tests.support.journals import policies, rules

HERE = Path(__file__).parent
RULE = (HERE.parents[1] / "deploy" / "rules" / "unpaid-order-coupon.yaml").read_text()
DAY = 1_700_006_400_000
SCOPES = {"openid": "wx"}

Story = dict[str, Any]


def _stories() -> Iterator[Any]:
    for path in sorted(HERE.glob("*/*.yaml")):
        for story in yaml.safe_load(path.read_text()):
            yield pytest.param(story, id=f"{path.parent.name}/{path.stem}: {story['about']}")


@pytest.mark.parametrize("story", list(_stories()))
def test_the_story_ends_as_it_should(story: Story) -> None:
    _, outputs = fold(_journal(story).frames)
    got = list(_decisions(outputs))
    wanted = [{name: _value(name, value) for name, value in each.items()} for each in story["expect"]]
    assert [{name: each[name] for name in want} for each, want in zip(got, wanted, strict=False)] == wanted
    assert len(got) == len(wanted)


def _journal(story: Story) -> Journal:
    lagging = [_source(name) for name in story.get("lagging", ())]
    together = (ORDERS, APP, CONTROL)
    opening = [_said(sources(ORDERS, APP, *lagging)), *map(_rule, story.get("rules", [{}]))]
    opening += [_merging(story["merging"])] if "merging" in story else []
    journal = Journal().lane(together, [*opening, *map(_policy, [story["policy"]] if "policy" in story else [])])
    for line in story["journal"]:
        named = _source(line.get("of") or line.get("on", "order"))
        _tell(journal, (named,) if named in lagging else together, line)
    return journal


def _tell(journal: Journal, lane: Sequence[Partition], line: dict[str, Any]) -> None:
    if "until" in line:
        journal.lane(lane, [], {part: _ms(line["until"]) for part in lane})
    elif "sources" in line:
        journal.lane(lane, [_said(sources(*map(_source, line["sources"])), _ms(line["at"]))])
    else:
        journal.lane(lane, [_item(line)])


def _item(line: dict[str, Any]) -> Ev | Said:
    if "receipt" in line:
        return _receipt(line)
    if "policy" in line:
        return _policy(line["policy"], _ms(line["at"]))
    if "rule" in line:
        return _rule(line["rule"], _ms(line["at"]))
    named = next((kind for kind in ("link", "unlink") if kind in line), None)
    return _command(line, named) if named else _event(line)


def _merging(document: dict[str, Any]) -> Said:
    return _said(policies("*", yaml.safe_dump({"policy": "story", "version": 1} | document)))


def _command(line: dict[str, Any], named: str) -> Said:
    a, b = ({"kind": kind, "scope": SCOPES.get(kind), "value": value} for kind, value in line[named].items())
    record = {"tenant": "t1", "kind": named, "a": a, "b": b, "time": _ms(line["at"])}
    return Said(_ms(line["at"]), "command", record)


def _receipt(line: dict[str, Any]) -> Said:
    attempt = line.get("attempt", 0)
    step = "/".join([*([line["of_step"]] if "of_step" in line else []), *([f"fallback-{attempt}"] if attempt else [])])
    cause = "\x1f".join(("t1", line.get("of_rule", "unpaid-order-coupon"), step, line.get("order") or line["cause"]))
    trigger_id = blake2b(cause.encode(), digest_size=16).hexdigest()
    record = {"tenant": line.get("tenant", "t1"), "trigger_id": trigger_id, "status": line["receipt"], "detail": ""}
    record |= {"channel": line.get("channel", ""), "time": _ms(line.get("time", line["at"]))}
    return Said(_ms(line["at"]), "receipt", record | {"delivery_id": line.get("id")})


def _policy(document: dict[str, Any], at: int = DAY) -> Said:
    named = {"delivery": "story", "version": 1} | {name: it for name, it in document.items() if name != "tenant"}
    return _said({"tenant": document.get("tenant", "*"), "kind": "delivery", "text": yaml.safe_dump(named)}, at)


def _event(line: dict[str, Any]) -> Ev:
    ids = tuple((kind, SCOPES.get(kind, ""), line[kind]) for kind in ID_KINDS if kind in line)
    at = _ms(line["at"])
    time = _ms(line["time"]) if "time" in line else at
    on, fen = _source(line.get("on", "order")), line.get("fen", 10_000)
    event = Ev(at, line["event"], ids, line.get("order"), time, fen, line.get("id", ""), line.get("tenant", "t1"), on)
    more = {name: line[name] for name in ("touchpoint", "item", "category") if name in line}
    return replace(event, properties=tuple(line.get("properties", {}).items()), **more)


def _said(record: dict[str, Any], at: int = DAY) -> Said:
    return Said(at, "control", record)


def _rule(changes: dict[str, Any], at: int = DAY) -> Said:
    document = yaml.safe_load(RULE)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = document
        for name in parents:
            place = place[name]
        place[last] = value
        if value is None:
            del place[last]
    tenant = document.pop("tenant", "*")
    return _said(rules(tenant, yaml.safe_dump(document)), at)


def _source(name: str) -> Partition:
    return Partition(f"events.raw.{name}", 0)


def _ms(clock: str) -> int:
    if "T" in clock:
        return round(datetime.fromisoformat(clock).timestamp() * 1_000)
    hours, minutes, *seconds = clock.split(":")
    return DAY + (int(hours) * 60 + int(minutes)) * 60_000 + round(float(*seconds or "0") * 1_000)


def _value(name: str, value: Any) -> Any:
    return _ms(value) if name in ("due", "at", "expires", "until") else value


def _decisions(outputs: Sequence[Outputs]) -> Iterator[dict[str, Any]]:
    """Each decision with its trigger's fields, in the words of the stories."""
    records = [public for output in outputs for public in output.public]
    triggers = {each.record["trigger_id"]: each.record for each in records if each.subject == "trigger"}
    revoked = {each.record["trigger_id"] for each in records if each.subject == "trigger_revoked"}
    for each in records:
        if each.subject == "decision":
            yield _told(each.record, triggers.get(each.record["trigger_id"]))
            assert each.record["verdict"] != "revoked" or each.record["trigger_id"] in revoked


def _told(decision: dict[str, Any], trigger: dict[str, Any] | None) -> dict[str, Any]:
    names = {"order": "business_key", "due": "due_time", "at": "decided_time", "version": "rule_version"}
    names["until"] = "defer_until"
    told = {**decision, **{name: decision[field] for name, field in names.items()}}
    if trigger is not None:
        recipient = trigger["recipient"]["value"]
        told |= {"channel": trigger["channel"], "recipient": recipient, "expires": trigger["expires_time"]}
        told["trigger_late"] = trigger["late_sources"]
    return told
