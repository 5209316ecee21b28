"""What comes of every order, decided one after another, slowly: each question goes through all that was said before.

In: an oracle of the journal. Out: the outcomes, in order. Never: code of `streams`; state but the outcomes so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from xxhash import xxh3_64_intdigest

from tests.support.habits import Habits
from tests.support.history import History, Key, Outcome, channel_of, sent_order
from tests.support.lines import (
    ChannelText,
    Commanded,
    Event,
    PolicyText,
    Reported,
    RuleText,
)
from tests.support.oracle import Oracle
from tests.support.people import Node
from tests.support.walls import end_of_quiet, full_hours, hour_of


@dataclass(frozen=True)
class Ready:
    """An order to be decided: due (or deferred to) then, in this order."""

    due: int
    priority: int
    key: Key
    attempt: int


class Chain(History):
    """Decides the orders of a journal."""

    def __init__(self, oracle: Oracle) -> None:
        super().__init__(oracle)
        self._again: list[Ready] = []

    def outcomes(self) -> list[Outcome]:
        """Everything that was decided, in the order in which it was."""
        for at in range(len(self.lines)):
            self._take(at)
            self._settle(at)
        return self.told

    # What a line does at once

    def _take(self, at: int) -> None:
        line = self.lines[at]
        if isinstance(line, Event) and (at, line) in self.oracle.accepted:
            self._late_ends(at, line)
            nodes = self.oracle.nodes_then(line)
            if nodes:
                self._exits(at, nodes[0], line.type, line.time, line.id)
        if isinstance(line, Reported) and self.first_report(at, line):
            self._report(at, line)
        self._exceeded(at)

    def _late_ends(self, at: int, event: Event) -> None:
        for key in self.keys:
            rule = self.oracle.rule(at, key[0], key[1])
            if rule is None or (key[0], key[2]) != (event.tenant, event.order) or event.type not in rule.of:
                continue
            last = self.said_of(key)[-1:]
            if last and last[0].verdict in ("sent", "converted"):
                in_time = event.time <= last[0].due
                if in_time:
                    self._say(at, key, ("revoked", "ended_in_time"), last[0].attempt, event.id)
                elif last[0].verdict == "sent":
                    self._say(at, key, ("converted", "ended_after_send"), last[0].attempt, event.id)

    def _exits(self, at: int, node: Node, kind: str, time: int, cause: str) -> None:
        person = self.oracle.person(at, node)
        for name in sorted({key[1] for key in self.keys}):
            rule = self.oracle.rule(at, node[0], name)
            if rule is None or kind not in rule.exit_on:
                continue
            sends = [one for one in self.sent_to(at, person) if one.key[1] == name]
            for key in dict.fromkeys(one.key for one in sorted(sends, key=sent_order)):
                last = self.said_of(key)[-1]
                if last.verdict == "sent" and self.anchor(key, last).time <= time:
                    self._say(at, key, ("converted", "ended_after_send"), last.attempt, cause)

    # Receipts

    def _report(self, at: int, line: Reported) -> None:
        sent = self.reported(at, line)
        if sent is None:
            return
        last = self.said_of(sent.key)[-1]
        if line.status == "redeemed":
            self._exits(at, sent.to, line.status, line.time, line.id)
        waits = any(one.key == sent.key for one in self._again)
        if line.status == "failed" and last is sent and not waits:
            rule = self.order_of(sent.key).rule_at(at)
            if {name for name, _, _ in rule.channels} <= set(self._tried(sent.key)):
                self._say(at, sent.key, ("suppressed", "failed"), sent.attempt + 1)
            else:
                self._again.append(Ready(self.oracle.now(at), rule.priority, sent.key, sent.attempt + 1))

    def _tried(self, key: Key) -> list[str]:
        return [one.channel for one in self.said_of(key) if one.verdict == "sent"]

    # Merges

    def _exceeded(self, at: int) -> None:
        before = self.oracle.persons(at - 1) if at else []
        for person in self.oracle.persons(at):
            parts = [part for part in before if part < person]
            if len(parts) > 1:
                self._add_up(at, person, parts)

    def _add_up(self, at: int, person: set[Node], parts: Sequence[set[Node]]) -> None:
        policy = self.policy(at, min(person)[0])
        named: list[str] = []
        limits = [("", policy.caps), *sorted((channel.name, channel.caps) for channel in policy.channels)]
        for name, caps in limits:
            sends = [[one for one in self.sent_to(at, part) if name in ("", one.channel)] for part in parts]
            together = [one for some in sends for one in some]
            for cap in caps:
                counts = [self.counted(at, some, cap, policy) for some in sends]
                if sum(counts) > cap.most and sum(count > 0 for count in counts) > 1:
                    newest = max(together, key=sent_order)
                    if newest.trigger_id not in named:
                        named.append(newest.trigger_id)
                        self._note(at, newest, min(person))
                    break

    def _note(self, at: int, newest: Outcome, node: Node) -> None:
        line = self.lines[at]
        cause = line.id if isinstance(line, (Event, Commanded)) else ""
        last = [one for one in self.said_of(newest.key) if one.verdict == "sent"][-1]
        self._say(at, newest.key, ("noted", "cap_exceeded_by_merge"), last.attempt, cause)

    # What is ready in one step of the clock

    def _settle(self, at: int) -> None:
        now = self.oracle.now(at)
        first = [self._first(at, key) for key in self.keys if not self._over(key) and self._ripe(at, key)]
        again = [ready for ready in self._again if ready.due <= now]
        self._again = [ready for ready in self._again if ready.due > now]
        for ready in sorted([*first, *again], key=lambda one: (one.due, one.priority, one.key)):
            self._decide(at, ready)

    def _over(self, key: Key) -> bool:
        return bool(self.said_of(key)) or key in self._prevented

    @cached_property
    def _prevented(self) -> set[Key]:
        return set()

    def _ripe(self, at: int, key: Key) -> bool:
        order = self.order_of(key)
        if not order.starts(at):
            return False
        asked = order.rule_at(min(order.starts(at))[1])
        tired = asked.patience and self.oracle.now(at) >= order.due(at) + asked.patience
        return bool(tired) or self.oracle.clock(at, asked.waits_for) > order.due(at)

    def _first(self, at: int, key: Key) -> Ready:
        order = self.order_of(key)
        return Ready(order.due(at), order.rule_at(min(order.starts(at))[1]).priority, key, 0)

    def _settled(self, at: int, key: Key) -> int:
        """Where it was first decided: what came later does not move its anchor."""
        return self.said_of(key)[0].at if self.said_of(key) else at

    def _decide(self, at: int, ready: Ready) -> None:
        key, order = ready.key, self.order_of(ready.key)
        settled = self._settled(at, key)
        ends = sorted(order.ends(at))
        if ends:
            in_time = ends[0][0] <= order.due(settled)
            if in_time and not self.said_of(key):
                self._prevented.add(key)
                return
            reason = "ended_in_time" if in_time else "ended_before_send"
            cause = order.event_at(ends[0][1]).id
            self._say(at, key, ("suppressed", reason), ready.attempt, cause)
            return
        self._run(at, ready)

    def _run(self, at: int, ready: Ready) -> None:
        """The chain."""
        key, attempt = ready.key, ready.attempt
        for why in self._refusals(at, ready):
            self._say(at, key, ("suppressed", why), attempt)
            return
        rule, policy, now = self.order_of(key).rule_at(at), self.policy(at, key[0]), self.oracle.now(at)
        until = end_of_quiet(policy, now) if rule.disturbs else now
        if until > now:
            self._say(at, key, ("deferred", "quiet_hours"), attempt, until=until)
            self._again.append(Ready(until, rule.priority, key, attempt))
            return
        sends = self.sent_to(at, self._person(at, key))
        if any(self.counted(at, sends, cap, policy) >= cap.most for cap in policy.caps):
            self._say(at, key, ("suppressed", "total_cap"), attempt)
            return
        self._route(at, ready, sends)

    def _refusals(self, at: int, ready: Ready) -> Iterator[str]:
        key = ready.key
        rule, policy, now = self.order_of(key).rule_at(at), self.policy(at, key[0]), self.oracle.now(at)
        held = self._held(at, key)
        if held:
            yield held
        if now > self._due(at, key) + rule.expires:
            yield "expired"
        if self._has_exited(at, key, rule):
            yield "exited"
        if self._matched_before(at, key, rule):
            yield "re_entry"
        if not self._allowed(at, key, rule, policy):
            yield "no_consent"
        sends = [one for one in self.sent_to(at, self._person(at, key)) if one.key[1] == key[1]]
        if any(now - one.clock < rule.cool_down for one in sends):
            yield "cool_down"

    def _held(self, at: int, key: Key) -> str:
        rule, policy, one_id = self.order_of(key).rule_at(at), self.policy(at, key[0]), self._one_id(at, key)
        shares = (("holdout", policy.holdout, "holdout"), (f"rule:{key[1]}", rule.control, "control"))
        for of, percent, name in shares:
            if one_id and xxh3_64_intdigest(f"{of}\x1f{one_id}".encode()) % 10_000 < percent * 100:
                return name
        return ""

    def _has_exited(self, at: int, key: Key, rule: RuleText) -> bool:
        begun = self._first_event(at, key).time
        return any(time >= begun for kind in rule.exit_on for time in self.did(at, self._person(at, key), kind))

    def _matched_before(self, at: int, key: Key, rule: RuleText) -> bool:
        if rule.re_entry == "always":
            return False
        person, due = self._person(at, key), self._due(at, key)
        firsts = {outcome.key: outcome for outcome in reversed(self.told) if outcome.verdict != "noted"}
        order = [outcome for outcome in self.told if firsts.get(outcome.key) is outcome and outcome.key[:2] == key[:2]]
        mine = [outcome.key for outcome in order].index(key) if key in firsts else len(order)
        for other in order[:mine]:
            nodes = self.oracle.nodes_then(self.anchor(other.key, other))
            if nodes and nodes[0] in person and (rule.re_entry == "once" or due - other.due < int(rule.re_entry)):
                return True
        return False

    def _allowed(self, at: int, key: Key, rule: RuleText, policy: PolicyText) -> list[tuple[str, str, str | None]]:
        tried = self._tried(key)
        left = [channel for channel in rule.channels if channel[0] not in tried]
        person = self._person(at, key)
        return [channel for channel in left if self.consents(at, person, channel_of(policy, channel[0]))]

    def _route(self, at: int, ready: Ready, sends: Sequence[Outcome]) -> None:
        key, now = ready.key, self.oracle.now(at)
        rule, policy = self.order_of(key).rule_at(at), self.policy(at, key[0])
        routes = self._allowed(at, key, rule, policy)
        if rule.cheapest:
            routes = sorted(routes, key=lambda route: channel_of(policy, route[0]).cost)
        usual = self._will_do(at, key, routes, sends)
        if rule.best:
            liked = {route: self.habits.liking(at, self._person(at, key), route[0]) for route in routes}
            routes = sorted(routes, key=lambda route: (-liked[route], routes.index(route)))
        found = self._will_do(at, key, routes, sends)
        if isinstance(found, str) or isinstance(usual, str):
            self._say(at, key, ("suppressed", str(found)), ready.attempt)
            return
        name, best = found
        until = self._best_hour(at, key, rule, channel_of(policy, name))
        if until > now:
            self._say(at, key, ("deferred", "best_hour"), ready.attempt, until=until)
            self._again.append(Ready(until, rule.priority, key, ready.attempt))
            return
        why = "matched" if found == usual else "best_channel"
        self._say(at, key, ("sent", why), ready.attempt, channel=name, to=best)

    def _best_hour(self, at: int, key: Key, rule: RuleText, channel: ChannelText) -> int:
        """The first of the best full hours that are left, if it is twice as good as now; else now."""
        now, policy, person = self.oracle.now(at), self.policy(at, key[0]), self._person(at, key)
        until = self._due(at, key) + min(rule.best_hour, rule.expires)
        opened = [(time, length) for event, length in channel.windows for time in self.did(at, person, event)]
        hours = [
            time
            for time in (full_hours(now, until, policy) if rule.best_hour else ())
            if not (rule.disturbs and end_of_quiet(policy, time) > time)
            and (not channel.windows or any(time - did <= length for did, length in opened))
        ]
        worth = {time: self.habits.worth(at, person, hour_of(time, policy)) for time in (now, *hours)}
        best = min(hours, key=lambda time: (-worth[time], time), default=now)
        return best if worth[best] >= 2 * worth[now] else now

    @cached_property
    def habits(self) -> Habits:
        """How persons answered."""
        return Habits(self)

    def _will_do(
        self, at: int, key: Key, routes: Sequence[tuple[str, str, str | None]], sends: Sequence[Outcome]
    ) -> tuple[str, Node] | str:
        """The first of these channels that will do, and the id on it; else why the best one does not."""
        policy, now, reasons = self.policy(at, key[0]), self.oracle.now(at), {"unreachable"}
        for name, kind, scope in routes:
            channel, best = channel_of(policy, name), self._best(at, key, kind, scope)
            if best is None:
                continue
            opened = [
                now - time <= length
                for event, length in channel.windows
                for time in self.did(at, self._person(at, key), event)
            ]
            over = [one for one in sends if one.channel == name]
            if channel.windows and not any(opened):
                reasons.add("outside_reply_window")
            elif any(self.counted(at, over, cap, policy) >= cap.most for cap in channel.caps):
                reasons.add("channel_cap")
            else:
                return name, best
        return next(why for why in ("channel_cap", "outside_reply_window", "unreachable") if why in reasons)

    def _best(self, at: int, key: Key, kind: str, scope: str | None) -> Node | None:
        """One of the order's own ids, else the newest of the person."""
        own = self.oracle.nodes_then(self._first_event(at, key))
        newest = self.oracle.addresses(at, own[0], own) if own else []
        fits = [node for node in newest if node[1] == kind and scope in (None, node[2])]
        return next((node for node in fits if node in own), fits[0] if fits else None)

    # Words

    def _first_event(self, at: int, key: Key) -> Event:
        order = self.order_of(key)
        return order.event_at(min(order.starts(self._settled(at, key)))[1])

    def _due(self, at: int, key: Key) -> int:
        return self.order_of(key).due(self._settled(at, key))

    def _person(self, at: int, key: Key) -> set[Node]:
        nodes = self.oracle.nodes_then(self._first_event(at, key))
        return self.oracle.person(at, nodes[0]) if nodes else set()

    def _one_id(self, at: int, key: Key) -> str:
        nodes = self.oracle.nodes_then(self._first_event(at, key))
        return self.oracle.one_id(at, nodes[0]) if nodes else ""

    def _say(self, at: int, key: Key, said: tuple[str, str], attempt: int, *more: str, **how: object) -> None:
        arm = "control" if said[0] == "suppressed" and self._held(at, key) else "treatment"
        outcome = Outcome(
            at=at,
            key=key,
            verdict=said[0],
            reason=said[1],
            rule=self.order_of(key).rule_at(at),
            one_id=self._one_id(at, key),
            due=self._due(at, key),
            clock=self.oracle.now(at),
            cause=(self._first_event(at, key).id, *more),
            attempt=attempt,
            arm=arm,
            late=self.oracle.behind(at, self.order_of(key).rule_at(at).waits_for, self._due(at, key)),
        )
        self.told.append(replace(outcome, **how))  # type: ignore[arg-type]
