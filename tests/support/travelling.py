"""What journeys come to, worked out slowly: after each row everything again, from all that is in the journal so far.

In: rows in the order in which they came: events, cuts, versions of journeys. Out: decisions and moves, each with the
row that brought it. Never: code of `streams`; a timer; an index; what was remembered but for what can't be undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from xxhash import xxh3_64_intdigest

from tests.support.frames import SALT, Ev
from tests.support.mailbag import Letter, Mailbag
from tests.support.travellers import (
    CHANNELS,
    MINUTE,
    Answered,
    Cut,
    Failed,
    Id,
    Row,
    Sent,
    Text,
    Traveller,
    Version,
    asked,
    ids_of,
    persons_of,
    time_of,
)


@dataclass
class Interpreter:
    """Goes through the rows. `quiet`: minutes since 1970 in which nothing is sent; `lagging`: the app is read apart."""

    rows: Sequence[Row]
    quiet: frozenset[int] = frozenset()
    lagging: bool = False
    decisions: list[tuple[Any, ...]] = field(default_factory=list)
    moves: list[tuple[Any, ...]] = field(default_factory=list)
    inside: list[Traveller] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    mail: Mailbag = field(default_factory=Mailbag)
    matched: list[tuple[str, Ev, int]] = field(default_factory=list)
    entries: dict[str, int] = field(default_factory=dict)
    tags: list[tuple[Id, str]] = field(default_factory=list)
    n: int = 0
    taken: int = 0
    now: int = 0
    heard: dict[str, int] = field(default_factory=dict)

    def run(self, until: int) -> Interpreter:
        """All rows, and then time up to here."""
        for n, row in enumerate(self.rows):
            self.n = n
            self._tick(row.at, [self._lane(row)])
            self.taken = n + 1
            if isinstance(row, Version):
                self._apply(row.text)
            elif isinstance(row, Ev):
                self._buys(row)
            elif isinstance(row, Failed):
                self._failed(row)
            elif isinstance(row, Answered):
                self.mail.answered(row, self.now)
            self._one_each()
            self._tick(row.at, [self._lane(row)])
        self.n = len(self.rows)
        self._tick(until, ["orders", "app"])
        return self

    # Time

    def _lane(self, row: Row) -> str:
        return "app" if isinstance(row, Ev) and row.on.topic.endswith("app") and self.lagging else "orders"

    def _tick(self, at: int, lanes: list[str]) -> None:
        self.now = max(self.now, at)
        for lane in lanes if self.lagging else ["orders", "app"]:
            self.heard[lane] = max(self.heard.get(lane, 0), at)
        while ready := sorted(self._ready(), key=lambda one: one[0]):
            ready[0][1]()

    def _ready(self) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """What is due, each with its place in the order and what to do."""
        slowest = min(self.heard.get(lane, 0) for lane in ("orders", "app"))
        for text, event in self._unmatched():
            due = time_of(event) + text["wait"]
            if due <= self.now:
                yield (due, text["priority"], text["rule"], 0, "", event.id), lambda t=text, e=event: self._match(t, e)
        for one in self.inside:
            order = (one.text["priority"], one.text["rule"])
            if one.letter is not None and one.letter <= self.now:
                yield (one.letter, *order, 2, one.step["name"], one.begun.id), lambda o=one: self._decide(o)
            elif one.letter is None and (one.until < slowest if "wait_for" in one.step else one.until <= self.now):
                yield (one.until, *order, 1, "", one.begun.id), lambda o=one: self._time_is_up(o)

        for sent in self.sent:
            if sent.state == "waits" and sent.again <= self.now:
                place = (sent.again, sent.text["priority"], sent.text["rule"], 2, sent.step, sent.whose.begun.id)
                yield place, lambda s=sent: self._fall_back(s)

    def _time_is_up(self, one: Traveller) -> None:
        waits = one.step.get("wait_for")
        if waits is None:
            self._on(one, self._next(one), one.until, "waited")
        else:
            self._on(one, waits["on_timeout"] or self._next(one), one.until, "timeout")

    # Who is who

    def _seen(self) -> list[Ev]:
        return [row for row in self.rows[: self.taken] if isinstance(row, Ev)]

    def _person(self, id_: Id) -> set[Id]:
        cuts = [row for row in self.rows[: self.taken] if isinstance(row, Cut)]
        return next(person for person in persons_of(self._seen(), cuts) if id_ in person)

    def _theirs(self, id_: Id) -> list[Ev]:
        person = self._person(id_)
        return [event for event in self._seen() if ids_of(event)[0] in person]

    def _one_id(self, id_: Id) -> str:
        order = [one for event in self._seen() for one in ids_of(event)]
        founding = "\x1f".join(("t1", *min(self._person(id_), key=order.index)))
        return blake2b(founding.encode(), digest_size=16, key=SALT).hexdigest()

    # Entering and leaving

    def _in_force(self, at: int) -> list[Text]:
        texts: dict[str, Text] = {}
        for row in self.rows[: at + 1]:
            if isinstance(row, Version):
                texts[row.text["rule"]] = row.text
        return list(texts.values())

    def _unmatched(self) -> list[tuple[Text, Ev]]:
        found = []
        for at, row in enumerate(self.rows[: self.taken]):
            for text in self._in_force(at) if isinstance(row, Ev) else ():
                done = [(rule, event.id) for rule, event, _ in self.matched]
                if isinstance(row, Ev) and row.type == text["enter"] and (text["rule"], row.id) not in done:
                    found.append((next(t for t in self._in_force(self.taken - 1) if t["rule"] == text["rule"]), row))
        return found

    def _match(self, text: Text, event: Ev) -> None:
        due = time_of(event) + text["wait"]
        person = self._person(ids_of(event)[0])
        before = [at for rule, other, at in self.matched if rule == text["rule"] and ids_of(other)[0] in person]
        self.matched.append((text["rule"], event, due))
        again = text["re_entry"]
        barred = (
            ("exited", self._did(event, text)),
            (
                "re_entry",
                before and (again == "once" or (again != "always" and any(due < at + again for at in before))),
            ),
            ("inside", any(o.text["rule"] == text["rule"] and ids_of(o.begun)[0] in person for o in self.inside)),
            ("entry_cap", self._is_full(text)),
        )
        why = next((name for name, bars in barred if bars), None)
        if why is not None:
            self._say(("suppressed", why), "", due, text["version"], event)
            return
        self.entries[text["rule"]] = self.entries.get(text["rule"], 0) + 1
        one = Traveller(text, event, due)
        self.inside.append(one)
        self._on(one, text["steps"][0]["name"], due, "entered")

    def _is_full(self, text: Text) -> bool:
        there = sum(one.text["rule"] == text["rule"] for one in self.inside)
        most, at_once = text["most_entries"], text["most_inside"]
        return (at_once is not None and there >= at_once) or (
            most is not None and self.entries.get(text["rule"], 0) >= most
        )

    def _did(self, begun: Ev, text: Text) -> bool:
        theirs = self._theirs(ids_of(begun)[0])
        return any(event.type in text["exit_on"] and time_of(event) >= time_of(begun) for event in theirs)

    def _leave(self, one: Traveller, why: str) -> None:
        self.inside.remove(one)
        one.left = why
        self.moves.append((self.n, one.text["version"], one.begun.id, "", why, one.since, self.now))
        if one.letter is not None:
            self._say(("suppressed", "exited"), one.step["name"], one.since, one.text["version"], one.begun)
        for sent in self.sent:
            if sent.whose is one and sent.state == "waits" and why != "finished":
                self._give_up(sent, "exited")

    # Going on

    def _next(self, one: Traveller) -> str:
        steps = [step["name"] for step in one.text["steps"]]
        return str(one.step["then"] or [*steps, "end"][one.at + 1])

    def _on(self, one: Traveller, target: str, at: int, why: str) -> None:
        if one.at >= 0 and why != "moved":
            one.path[one.step["name"]] = target if why == "passed" else why
        one.letter = None
        if target == "end":
            self._leave(one, "finished")
            return
        one.at = [step["name"] for step in one.text["steps"]].index(target)
        one.since, step = at, one.step
        self.moves.append((self.n, one.text["version"], one.begun.id, target, why, at, self.now))
        if "exit" in step:
            self._leave(one, step["exit"])
        elif "emit" in step:
            one.letter = at
        elif "wait" in step:
            one.until = at + step["wait"]
        elif "wait_for" in step:
            one.until = at + step["wait_for"]["within"]
            self._meet(one)
        else:
            self._on(one, self._pass(one, step), at, "passed")

    def _pass(self, one: Traveller, step: Text) -> str:
        if "tag" in step:
            self.tags.append((ids_of(one.begun)[0], step["tag"]))
        for ask, target in step.get("branch", ()):
            if self._holds(one, ask):
                return str(target)
        upto = 0
        for percent, target in step.get("split", ()):
            upto += percent
            of = f"split:{one.text['rule']}:{step['name']}\x1f{self._one_id(ids_of(one.begun)[0])}"
            if xxh3_64_intdigest(of.encode()) % 10_000 < upto * 100:
                return str(target)
        return self._next(one)

    def _holds(self, one: Traveller, ask: tuple[str, Any]) -> bool:
        kind, value = ask
        if kind == "tag":
            person = self._person(ids_of(one.begun)[0])
            return any(tag == value and id_ in person for id_, tag in self.tags)
        if kind == "step":
            return bool(one.path.get(value[0]) == value[1])
        at = self.rows.index(one.begun)
        then = next(text for text in self._in_force(at) if text["rule"] == one.text["rule"])
        kept = any(ask[0] == "fen" for step in then["steps"] for ask, _ in step.get("branch", ()))
        return kept and (one.begun.fen or 0) > int(value)

    def _meet(self, one: Traveller) -> None:
        """Goes on if what it waits for is there: of what came since its version was put in force."""
        waits = one.step.get("wait_for")
        if waits is None:
            return
        known = next(at for at, row in enumerate(self.rows) if isinstance(row, Version) and row.text is one.text)
        came = [
            (time_of(event), event.id)
            for event in self._theirs(ids_of(one.begun)[0])
            if event.type == waits["of"] and one.since <= time_of(event) <= one.until and self.rows.index(event) > known
        ]
        if came:
            self._on(one, self._next(one), min(came)[0], "came")

    def _one_each(self) -> None:
        """Whoever has done what ends it is out; of several runs of one person the first goes on; then who waits."""
        for one in list(self.inside):
            if self._did(one.begun, one.text):
                self._leave(one, "exited")
        for one in list(self.inside):
            person = self._person(ids_of(one.begun)[0])
            same = [o for o in self.inside if o.text["rule"] == one.text["rule"] and ids_of(o.begun)[0] in person]
            if one in self.inside and same[0] is not one:
                self._leave(one, "merged")
        for one in list(self.inside):
            if one.letter is None:
                self._meet(one)

    def _apply(self, text: Text) -> None:
        steps = [step["name"] for step in text["steps"]]
        for one in list(self.inside):
            if text["moves"] and one.text["rule"] == text["rule"] and one.text is not text:
                if one.step["name"] not in steps:
                    self._leave(one, "step_gone")
                else:
                    name = one.step["name"]
                    one.text = text
                    self._on(one, name, one.since, "moved")

    # Messages

    def _say(self, said: tuple[str, str], step: str, due: int, version: int, cause: Ev) -> None:
        self.decisions.append((self.n, *said, step, due, self.now, version, cause.id))

    def _decide(self, one: Traveller) -> None:
        version, name = one.text["version"], one.step["name"]
        way = self._way(one, one.text, name, ())
        at = one.letter or 0
        if self.now > one.since + one.text["expires"]:
            self._say(("suppressed", "expired"), name, one.since, version, one.begun)
            self._on(one, self._next(one), at, "suppressed")
        elif self._is_quiet(self.now):
            self._say(("deferred", "quiet_hours"), name, one.since, version, one.begun)
            one.letter = self._morning()
        elif way is None:
            self._say(("suppressed", "unreachable"), name, one.since, version, one.begun)
            self._on(one, self._next(one), at, "suppressed")
        elif (until := self._best_hour(one, one.text, name, one.since)) > self.now:
            self._say(("deferred", "best_hour"), name, one.since, version, one.begun)
            one.letter = until
        else:
            channel, to, why = way
            self._say(("sent", why), name, one.since, version, one.begun)
            self.sent.append(Sent(one, name, one.since, to, version, one.text))
            self._send(self.sent[-1], channel, to)
            self._on(one, self._next(one), at, "sent")

    def _send(self, sent: Sent, channel: str, to: Id) -> None:
        sent.state, sent.to, sent.channels = "sent", to, (*sent.channels, channel)
        self.mail.letters.append(Letter(sent.message, to, channel, self.now))

    def _way(self, one: Traveller, text: Text, step: str, tried: Sequence[str]) -> tuple[str, Id, str] | None:
        """The first channel, or the best, that was not tried and that the person has an id for; the best id; why."""
        person = self._person(ids_of(one.begun)[0])
        order = [id_ for event in self._seen() for id_ in ids_of(event)]
        ways = []
        for channel, kind in CHANNELS:
            found = [id_ for id_ in person if id_[0] == kind and channel not in tried]
            if found:
                ways.append((channel, min(found, key=lambda id_: (id_ not in ids_of(one.begun), -order.index(id_)))))
        if not ways:
            return None
        likes = [self.mail.liking(person, channel, self.now) for channel, _ in ways]
        best = likes.index(max(likes)) if asked(text, step, "choose") == "best" else 0
        return *ways[best], "best_channel" if best else "matched"

    def _best_hour(self, one: Traveller, text: Text, step: str, due: int) -> int:
        """Until when the message is to wait; now where it is not."""
        person = self._person(ids_of(one.begun)[0])
        until = due + min(asked(text, step, "best_hour") or 0, text["expires"])
        return self.mail.best_instant(person, self.now, until, self._is_quiet)

    def _is_quiet(self, time: int) -> bool:
        return time // MINUTE in self.quiet

    def _morning(self) -> int:
        until = self.now // MINUTE
        while until in self.quiet:
            until += 1
        return until * MINUTE

    # What failed

    def _failed(self, row: Failed) -> None:
        """The last attempt counts no more, and what is left is tried."""
        for sent in self.sent:
            about = sent.whose.begun.id, sent.text["rule"], sent.step
            if sent.state == "sent" and about == (row.event, row.rule, row.step) and sent.attempt == row.attempt:
                self.mail.failed(sent.message, self.now)
                sent.state, sent.again, sent.attempt = "waits", self.now, sent.attempt + 1
                if len(sent.channels) == len(CHANNELS):
                    self._give_up(sent, "failed")

    def _fall_back(self, sent: Sent) -> None:
        one = sent.whose
        way = self._way(one, sent.text, sent.step, sent.channels)
        if self.now > sent.due + sent.text["expires"]:
            self._give_up(sent, "expired")
        elif one.left not in ("", "finished") or self._did(one.begun, sent.text):
            self._give_up(sent, "exited")
        elif self._is_quiet(self.now):
            sent.again = self._morning()
            self._retell(sent, ("deferred", "quiet_hours"))
        elif way is None:
            self._give_up(sent, "unreachable")
        elif (until := self._best_hour(one, sent.text, sent.step, sent.due)) > self.now:
            sent.again = until
            self._retell(sent, ("deferred", "best_hour"))
        else:
            channel, to, why = way
            self._retell(sent, ("sent", why))
            self._send(sent, channel, to)

    def _give_up(self, sent: Sent, why: str) -> None:
        sent.state = "over"
        self._retell(sent, ("suppressed", why))

    def _retell(self, sent: Sent, said: tuple[str, str]) -> None:
        step = f"{sent.step}/fallback-{sent.attempt}" if sent.attempt else sent.step
        self._say(said, step, sent.due, sent.version, sent.whose.begun)

    def _buys(self, event: Ev) -> None:
        """What ends a journey is the conversion of what was sent."""
        person = self._person(ids_of(event)[0])
        for one in self.sent:
            begun = one.whose.begun
            ends = event.type in one.whose.text["exit_on"] and time_of(begun) <= time_of(event)
            if ends and one.to in person and one.state == "sent":
                one.state = "converted"
                self._retell(one, ("converted", "ended_after_send"))
