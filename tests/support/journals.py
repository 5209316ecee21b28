"""The oracle's flat lines as the frames that say the same.

In: lines. Out: frames. Never: a random choice.

Two lanes stand for two ingest workers: one reads orders, the app, commands and controls, the other the shops, and each
has its own idea of how late it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from hashlib import blake2b
from typing import Any

import yaml

from streams.journal.frame import Frame, Partition
from tests.support.frames import APP, CONTROL, ORDERS, Ev, Journal, Said, sources
from tests.support.lines import (
    KINDS,
    Applied,
    CapText,
    ChannelText,
    Commanded,
    Declared,
    Event,
    Item,
    Line,
    MergePolicyText,
    Ordained,
    PolicyText,
    Reported,
    Ruled,
    RuleText,
    Told,
)

SECOND = 1_000
SHOPS = Partition("events.raw.pos", 0)
LANES = ((ORDERS, APP, CONTROL), (SHOPS,))


def named(part: Partition) -> str:
    """A partition as the oracle calls it."""
    return f"{part.topic}/{part.partition}"


def read_by(part: Partition) -> tuple[str, ...]:
    """What has been read up to the time of an item out of this partition."""
    return tuple(named(other) for lane in LANES if part in lane for other in lane)


def partition(name: str) -> Partition:
    """The other way round."""
    topic, _, number = name.rpartition("/")
    return Partition(topic, int(number))


def frames_of(lines: Sequence[Line], breaks: Collection[int] | None = None) -> list[Frame]:
    """The lines as frames: a new one at each break, change of lane and progress (breaks None: one frame a line)."""
    journal, lane = Journal(), 0
    pending: list[Ev | Said] = []
    for at, line in enumerate(lines):
        of = _lane(line)
        if pending and (of != lane or breaks is None or at in breaks):
            journal.lane(LANES[lane], pending)
            pending = []
        lane = of
        if isinstance(line, Told):
            _tell(journal, lane, pending, line)
            pending = []
        else:
            pending.append(_item(line))
    journal.lane(LANES[lane], pending)
    return journal.frames


def _lane(line: Line) -> int:
    names = [name for name, _, _ in line.progress] if isinstance(line, Told) else line.read
    return 0 if partition(names[0]) in LANES[0] else 1


def _tell(journal: Journal, lane: int, items: Sequence[Ev | Said], line: Told) -> None:
    journal.lane(LANES[lane], items, {partition(name): time for name, _, time in line.progress})
    frame = journal.frames[-1]
    missing = {partition(name): count for name, count, _ in line.progress}
    told = (p._replace(offset=max(0, p.offset + missing[p.of])) for p in frame.progress)
    journal.frames[-1] = replace(frame, progress=tuple(told))


def _item(line: Item) -> Ev | Said:
    if isinstance(line, Event):
        on = partition(line.source)
        return Ev(line.received, line.type, line.ids, line.order, line.time, line.fen, line.id, line.tenant, on)
    if isinstance(line, Reported):
        return Said(line.received, "receipt", _receipt(line))
    if isinstance(line, Commanded):
        return Said(line.received, "command", _command(line))
    return Said(line.received, "control", _control(line))


def _control(line: Item) -> dict[str, Any]:
    if isinstance(line, Declared):
        return sources(*(partition(name) for name in line.members))
    if isinstance(line, Applied):
        return rules(line.tenant, rule_text(line.rule))
    if isinstance(line, Ordained):
        return {"tenant": line.tenant, "kind": "delivery", "text": policy_text(line.policy)}
    assert isinstance(line, Ruled)
    return policies(line.tenant, merge_policy_text(line.policy))


def rules(tenant: str, text: str) -> dict[str, Any]:
    """The control that puts this rule in force."""
    return {"tenant": tenant, "kind": "rules", "text": text}


def policies(tenant: str, text: str) -> dict[str, Any]:
    """The control that puts this merge policy in force."""
    return {"tenant": tenant, "kind": "policy", "text": text, "time": 0}


def merge_policy_text(policy: MergePolicyText) -> str:
    """The policy as its author would write it, each kind in full."""
    kinds = {
        kind: {
            "values": policy.of(kind),
            "hold": [policy.limit(most, within) for of, most, within in policy.hold if of == kind],
        }
        for kind in KINDS
    }
    document: dict[str, Any] = {"policy": policy.name, "version": policy.version, "kinds": kinds}
    document["priority"] = list(policy.priority)
    document["bridge"] = {"large": policy.large, "rivals": policy.rivals}
    for name, limits in (("seen_with", policy.seen_with), ("seen_on", policy.seen_on)):
        document[name] = {kind: [policy.limit(most, ms) for of, most, ms in limits if of == kind] for kind in KINDS}
    listed = [{"values": list(policy.blocked)}] if policy.blocked else []
    fitting = [{"pattern": pattern} | ({"kind": kind} if kind else {}) for kind, pattern in policy.patterns]
    document["blocked"] = [*listed, *fitting]
    document["hashed_phones"] = [asdict(shop) for shop in policy.shops]
    return str(yaml.dump(document, Dumper=yaml.CSafeDumper))


def _command(line: Commanded) -> dict[str, Any]:
    a, *others = ({"kind": kind, "scope": scope or None, "value": value} for kind, scope, value in line.ids)
    b = others[0] if others else None
    command = {"tenant": line.tenant, "kind": line.kind, "a": a, "b": b, "time": line.received}
    return command | ({"command_id": line.id} if line.id else {})


def _receipt(line: Reported) -> dict[str, Any]:
    trigger_id = trigger_id_of(line.tenant, line.rule, line.attempt, line.order)
    named = {"delivery_id": line.id, "tenant": line.tenant, "trigger_id": trigger_id, "status": line.status}
    return named | {"channel": "", "time": line.time, "detail": ""}


def trigger_id_of(tenant: str, rule: str, attempt: int, cause: str) -> str:
    """The id that is pinned for whoever stores it: a hash of tenant, rule, step and cause."""
    step = f"fallback-{attempt}" if attempt else ""
    return blake2b("\x1f".join((tenant, rule, step, cause)).encode(), digest_size=16).hexdigest()


def policy_text(policy: PolicyText) -> str:
    """The delivery policy as its author would write it."""
    document: dict[str, Any] = {"delivery": "story", "version": policy.version, "zone": policy.zone}
    if policy.quiet:
        document["quiet_hours"] = dict(zip(("since", "until"), policy.quiet, strict=True))
    document |= {"holdout_percent": policy.holdout, "caps": [_cap(cap) for cap in policy.caps]}
    document["channels"] = {channel.name: _channel(channel) for channel in policy.channels}
    return str(yaml.dump(document, Dumper=yaml.CSafeDumper))


def _channel(channel: ChannelText) -> dict[str, Any]:
    windows = [{"event": event, "open_for": f"{length // SECOND}s"} for event, length in channel.windows]
    consent = {"consent_given_by": [*channel.given_by], "consent_withdrawn_by": [*channel.withdrawn_by]}
    told = {"cost_fen": channel.cost, "needs_consent": channel.needs_consent, "reply_windows": windows}
    return told | consent | {"caps": [_cap(cap) for cap in channel.caps]}


def _cap(cap: CapText) -> dict[str, Any]:
    return {"most": cap.most} | ({"per": cap.per} if cap.per else {"within": f"{cap.within // SECOND}s"})


def _asked(rule: RuleText) -> str:
    """What the rule says of its sending, beyond its channels."""
    re_entry = rule.re_entry if isinstance(rule.re_entry, str) else f"{rule.re_entry // SECOND}s"
    said = [f"exit_on: [{', '.join(rule.exit_on)}]", f"re_entry: {re_entry}", f"control_percent: {rule.control}"]
    said += [f"cool_down: {rule.cool_down // SECOND}s"] if rule.cool_down else []
    said += ["choose: cheapest"] if rule.cheapest else ["choose: best"] if rule.best else []
    said += [f"best_hour_within: {rule.best_hour // SECOND}s"] if rule.best_hour else []
    said += [] if rule.disturbs else ["quiet_hours: ignore"]
    return "".join(f"  {one}\n" for one in said)


def _patience(rule: RuleText) -> str:
    return f"    patience: {rule.patience // SECOND}s\n" if rule.patience else ""


def rule_text(rule: RuleText) -> str:
    """The rule as its author would write it."""
    where = "" if rule.at_least is None else f"    where: event.amount_fen >= {rule.at_least}\n"
    channels = "".join(
        f"    - {{channel: {name}, to: {kind}" + (f", scope: {scope}" if scope else "") + "}\n"
        for name, kind, scope in rule.channels
    )
    return f"""
rule: {rule.name}
version: {rule.version}
priority: {rule.priority}
when:
  absence:
    after: {rule.after}
{where}    of: [{", ".join(rule.of)}]
    within: {rule.within // SECOND}s
    same: order_id
    waits_for: [{", ".join(rule.waits_for)}]
{_patience(rule)}send:
  topic: triggers.coupon
  expires_after: {rule.expires // SECOND}s
  channels:
{channels}{_asked(rule)}  content: {{template: t}}
"""
