"""A rule's examples, run through the same ingest and the same fold as the live pipeline, on a simulated clock.

In: a rule's text with its examples. Out: what each came to, and how that differs from what it expects.
Never: a broker, a wall clock; a delivery policy: examples are about the rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from schemas.codec import encode
from schemas.records import BehaviourEvent, Delivery, Identity
from schemas.registry import LocalRegistry
from streams.backtest import Shards, journal_of, opening, settling
from streams.engine import EngineConfig, Outputs
from streams.ingest.identifiers import SCOPE_NEEDED
from streams.ingest.intake import Intake
from streams.ingest.record import RawRecord
from streams.ingest.validate import Limits
from streams.journal.frame import Partition
from streams.rules.book import Known
from streams.rules.examples import FIRST_DAY_MS, Example, Expected, Given
from streams.rules.spec import Rule, parse_rule
from streams.topics import DELIVERIES, RAW

TENANT = "example"
_RECEIPTS = Partition(DELIVERIES, 0)


class Rehearsed(NamedTuple):
    """An example, and in which ways it went differently: none where it went as expected."""

    about: str
    differences: tuple[str, ...]


def rehearse(text: str, known: Known) -> list[Rehearsed]:
    """Runs all examples of a rule that lints."""
    rule = parse_rule(text)
    return [Rehearsed(example.about, tuple(_differences(text, rule, example, known))) for example in rule.examples]


def _differences(text: str, rule: Rule, example: Example, known: Known) -> Iterator[str]:
    got = list(_decisions(text, rule, example, known))
    for number, (decision, expected) in enumerate(zip(got, example.expect, strict=False), 1):
        wanted = expected.model_dump(exclude_none=True)
        for name, value in wanted.items():
            if decision[name] != value:
                yield f"decision {number}: {name} is {_shown(name, decision[name])}, expected {_shown(name, value)}"
    for decision in got[len(example.expect) :]:
        yield f"one decision more than expected: {decision['verdict']}, {decision['reason']}"
    for expected in example.expect[len(got) :]:
        yield f"missing: {expected.verdict}{f', {expected.reason}' if expected.reason else ''}"


def _shown(name: str, value: Any) -> str:
    if name not in ("at", "due"):
        return repr(value)
    seconds, ms = divmod(value - FIRST_DAY_MS, 1_000)
    minutes, seconds = divmod(seconds, 60)
    days, minutes = divmod(minutes, 1_440)
    return f"{days}d {minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{ms:03}"


def _decisions(text: str, rule: Rule, example: Example, known: Known) -> Iterator[dict[str, Any]]:
    registry, shards = LocalRegistry(), Shards(EngineConfig(salt=b"rehearsal", known=known))
    members = [Partition(RAW + source, 0) for source in known.sources]
    intake = Intake(registry, frozenset((TENANT,)), Limits(), 1)
    begin = opening({rule.rule: text}, members, registry, FIRST_DAY_MS)
    times = [FIRST_DAY_MS] * len(begin) + [given.at for given in example.given]
    outputs: list[Outputs] = []
    records = chain(begin, _records(rule, example, members, registry, outputs))
    batches = journal_of(records, [*members, _RECEIPTS], intake, 1)
    for time_ms in times:
        _let_pass(shards, members, time_ms, outputs)
        outputs.append(shards.step(0, len(outputs), next(batches).frames[0]))
    _let_pass(shards, members, example.until, outputs)
    triggers: dict[str, dict[str, Any]] = {}
    for public in (one for output in outputs for one in output.public):
        if public.subject == "trigger":
            triggers[public.record["trigger_id"]] = public.record
        elif public.subject == "decision":
            yield _told(public.record, triggers.get(public.record["trigger_id"]))


def _let_pass(shards: Shards, members: list[Partition], until_ms: int, outputs: list[Outputs]) -> None:
    """Lets the clock go on to this time, and stand still for a moment wherever something is due."""
    while 0 in shards.engines and shards.engines[0].clock.now < until_ms:
        due_ms = shards.engines[0].engage.timers.next_ms + 1
        outputs.append(shards.step(0, len(outputs), settling(members, min(due_ms, until_ms))))


def _told(decision: dict[str, Any], trigger: dict[str, Any] | None) -> dict[str, Any]:
    """A decision with the fields of `Expected`."""
    told = dict.fromkeys(Expected.model_fields) | {name: decision[name] for name in ("verdict", "reason", "step")}
    told |= {"at": decision["decided_time"], "due": decision["due_time"]}
    if trigger is not None:
        told |= {"channel": trigger["channel"], "recipient": trigger["recipient"]["value"]}
    return told


def _records(
    rule: Rule, example: Example, members: list[Partition], registry: LocalRegistry, outputs: list[Outputs]
) -> Iterator[RawRecord]:
    """What is given, each made when it is asked for: a receipt is on what had been sent by then."""
    offsets = dict.fromkeys([*members, _RECEIPTS], 0)
    for number, given in enumerate(example.given):
        part, subject = Partition(RAW + given.touchpoint, 0), "behaviour_event"
        record: BehaviourEvent | Delivery
        if given.receipt is None:
            part, record = part if part in offsets else members[0], _event(rule, number, given)
        else:
            part, subject, record = _RECEIPTS, "delivery", _receipt(number, given, outputs)
        yield RawRecord(*part, offsets[part], given.at, None, encode(subject, record, registry.id_of(subject)))
        offsets[part] += 1


def _receipt(number: int, given: Given, outputs: list[Outputs]) -> Delivery:
    triggers = [one.record for output in outputs for one in output.public if one.subject == "trigger"]
    sent = triggers[-1] if triggers else {"trigger_id": "none", "channel": ""}
    return Delivery(
        delivery_id=f"receipt-{number + 1}",
        tenant=TENANT,
        trigger_id=sent["trigger_id"],
        status=str(given.receipt),
        channel=sent["channel"],
        time=given.at if given.time is None else given.time,
        detail="",
    )


def _event(rule: Rule, number: int, given: Given) -> BehaviourEvent:
    return BehaviourEvent(
        event_id=f"event-{number + 1}",
        tenant=TENANT,
        event_type=str(given.event),
        event_time=given.at if given.time is None else given.time,
        touchpoint=given.touchpoint,
        scene=given.scene,
        channel=given.channel,
        campaign=given.campaign,
        identities=[_identity(rule, kind, value) for kind, value in given.ids.items()],
        order_id=given.order_id,
        amount_fen=given.amount_fen,
        item_id=given.item_id,
        category=given.category,
        referrer=None,
        properties=given.properties,
    )


def _identity(rule: Rule, kind: str, value: str) -> Identity:
    """The id, of the issuer that the rule names for its kind."""
    scopes = [channel.scope for channel in rule.send.channels if channel.to == kind and channel.scope]
    issuer = next(iter(scopes), "example") if kind in SCOPE_NEEDED else next(iter(scopes), None)
    return Identity(kind=kind, scope=issuer, value=value)
