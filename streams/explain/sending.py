"""What delivery made of a match, link by link: the decision, the caps as they were then, the ways to the person.

In: stored decisions and sends, the ids and events of the person, the rule and the policy. Out: a `Finding`, lines.
Never: a verdict of its own: the stored one is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from streams.delivery.caps import Cap
from streams.delivery.channels import Route
from streams.delivery.decide import watch
from streams.delivery.policy import ChannelSpec, DeliveryPolicy
from streams.delivery.reasons import Why
from streams.explain.case import Case, Finding, Happening, Point, State, length


class Decided(NamedTuple):
    """A stored decision. `cause`: the event that anchors it comes first."""

    trigger_id: str
    rule_version: int
    business_key: str
    verdict: str
    reason: str
    due_ms: int
    decided_ms: int
    cause: tuple[str, ...]
    step: str = ""
    late_sources: tuple[str, ...] = ()


class Sent(NamedTuple):
    """A stored send to the person, of any rule; `recipient` is masked. `failed`: it counts nowhere any more.

    `answered`: there was a first answer to it; `opened_ms`: when, if that was to open or click it, else 0.
    """

    trigger_id: str
    rule: str
    channel: str
    recipient: str
    time_ms: int
    failed: bool = False
    answered: bool = False
    opened_ms: int = 0


class KnownId(NamedTuple):
    """An id of the person, its value masked."""

    kind: str
    scope: str
    value: str


_SAID = {
    Why.HOLDOUT: "the person is in the policy's holdout and gets nothing",
    Why.CONTROL: "the person is in the control group of this rule",
    Why.EXPIRED: "it came too late: the expiry had passed",
    Why.EXITED: "the person did meanwhile what ends it",
    Why.RE_ENTRY: "an earlier match of this rule bars it",
    Why.INSIDE: "the person is inside this journey already",
    Why.ENTRY_CAP: "as many as may had entered the journey",
    Why.NO_CONSENT: "the person gave no consent to any of its channels",
    Why.COOL_DOWN: "the rule sent to this person too lately",
    Why.QUIET_HOURS: "it is quiet where the person lives",
    Why.BEST_HOUR: "the person answers more at a later hour",
    Why.TOTAL_CAP: "the caps over all channels were used up",
    Why.UNREACHABLE: "no id of the person fits any of its channels",
    Why.OUTSIDE_REPLY_WINDOW: "an id fits, but the reply window of its channel was closed",
    Why.CHANNEL_CAP: "the caps of each channel that was open were used up",
    Why.FAILED: "the channel reported a failure, and no other was left",
    Why.ENDED_BEFORE_SEND: "what it waited for came too late, but before the sending",
    Why.ENDED_IN_TIME: "what it waited for had come in time, as a late event showed",
    Why.ENDED_AFTER_SEND: "the person did it after the sending",
    Why.CAP_EXCEEDED_BY_MERGE: "two persons became one, and got more together than a cap allows",
    Why.MATCHED: "all conditions held",
    Why.BEST_CHANNEL: "all conditions held, and the person answers most over this channel",
}


def reason(word: str) -> str:
    """The reason of a decision as a sentence part."""
    return _SAID.get(Why(word), word) if word in list(Why) else word


def decided(history: Sequence[Decided], sends: Sequence[Sent], case: Case) -> Finding:
    """What became of a match: the last decision says it, all of them stand below."""
    told = [one for one in history if one.verdict != "noted"] or history
    last = told[-1]
    sent = next((one for one in sends if one.trigger_id == last.trigger_id), None)
    if last.verdict == "sent" and sent is not None:
        headline = f"over {sent.channel} to {sent.recipient} at {case.at(sent.time_ms)}"
    else:
        headline = f"at {case.at(last.decided_ms)}: {reason(last.reason)}"
    if last.step:
        headline = f"step {last.step}, {headline}"
    points = [Point(None, f"due {case.at(last.due_ms)}")]
    points += [Point(None, _line(one, case)) for one in history]
    return Finding(cast("State", last.verdict), headline, points)


def _line(one: Decided, case: Case) -> str:
    """A decision in a line: when, of which step, what, and which sources it was made without."""
    of = f"{one.step}: " if one.step else ""
    without = f", without {', '.join(one.late_sources)}, not read past its end" if one.late_sources else ""
    return f"{case.at(one.decided_ms)}  {of}{one.verdict}, {one.reason}{without}"


def before(sends: Sequence[Sent], history: Sequence[Decided], now_ms: int) -> list[Sent]:
    """The sends that counted when the match was decided: none of its own, and none of its millisecond if it was sent.

    Where it was not sent, those of its millisecond came before it.
    """
    until_ms = now_ms - 1 if history and history[-1].verdict == "sent" else now_ms
    own = {one.trigger_id for one in history}
    return [one for one in sends if one.time_ms <= until_ms and not one.failed and one.trigger_id not in own]


def caps(
    policy: DeliveryPolicy, channels: Sequence[str], before: Sequence[Sent], now_ms: int, case: Case
) -> list[Point]:
    """Each cap, over all channels and of these, and how much of it these sends used."""
    lines = [_cap("all channels", cap, [one.time_ms for one in before], now_ms, case) for cap in policy.counted]
    for channel in dict.fromkeys(channels):
        times = [one.time_ms for one in before if one.channel == channel]
        lines += [_cap(channel, cap, times, now_ms, case) for cap in policy.channel(channel).counted]
    return lines


def _cap(name: str, cap: Cap, times: Sequence[int], now_ms: int, case: Case) -> Point:
    used = cap.used(times, now_ms, case.zone)
    span = f"this {cap.per}" if cap.per else f"in {length(cap.within_ms)}"
    return Point(used < cap.most, f"{name}: {used} of {cap.most} used {span}")


def ways(
    routes: Sequence[Route], ids: Sequence[KnownId], policy: DeliveryPolicy, now_ms: int, case: Case
) -> Iterator[Point]:
    """Each channel of the rule: the id that it would go to, its reply window."""
    for route in routes:
        fitting = [one for one in ids if one.kind == route.kind and route.scope in (None, one.scope)]
        needs = route.kind + (f" of {route.scope}" if route.scope else "")
        if not fitting:
            yield Point(False, f"{route.channel}: the person has no {needs}")
            continue
        closed = _closed(policy.channel(route.channel), now_ms, case)
        yield Point(not closed, f"{route.channel}: {fitting[-1].value}{closed}")


def _closed(spec: ChannelSpec, now_ms: int, case: Case) -> str:
    """Why the channel was closed by then; "" where it was open, or has no reply windows."""
    if not spec.reply_windows:
        return ""
    last: list[tuple[int, int]] = []
    for window in spec.reply_windows:
        doings = (one for one in case.happened if one.own and _opens(one, window.event, window.touchpoint))
        last += [(one.time_ms, window.open_for) for one in doings if one.time_ms <= now_ms]
    if any(now_ms - time_ms <= open_for for time_ms, open_for in last):
        return ""
    if not last:
        names = ", ".join(watch(window.event, window.touchpoint) for window in spec.reply_windows)
        return f", but nothing opened it ({names})"
    time_ms, open_for = max(last)
    return f", but its window closed at {case.at(time_ms + open_for)}"


def _opens(happening: Happening, event: str, touchpoint: str | None) -> bool:
    return happening.event_type == event and touchpoint in (None, happening.event["touchpoint"])
