"""Random journals of one shard, made to hurt: ties around deadlines, repeats, late times, sources that lag.

In: choices by Hypothesis. Out: a `Story`: the lines that the oracle reads, and the frames that say the same.
Never: a journal that breaks the promises of a frame.

All times are whole seconds, and few, so that ties are common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from hypothesis import strategies as st

from streams.journal.frame import Frame, Partition
from tests.support.frames import APP, CONTROL, ORDERS
from tests.support.journals import LANES, SECOND, SHOPS, frames_of, named, read_by
from tests.support.lines import (
    Applied,
    CapText,
    ChannelText,
    Commanded,
    Declared,
    Event,
    Id,
    Item,
    Line,
    Ordained,
    PolicyText,
    Reported,
    RuleText,
    Told,
)

BASE = 1_700_000_000_000
EVENING = 1_701_345_600_000
"""The last of November 2023, 20:00 in Shanghai, 13:00 in Paris."""
EVENT_SOURCES = (*[ORDERS] * 6, APP, APP, SHOPS)

IDS: tuple[Id, ...] = (
    ("openid", "wx", "o1"),
    ("openid", "wy", "o1"),
    ("openid", "wx", "o2"),
    ("phone", "", "+8613900000001"),
    ("phone", "", "+8613900000002"),
    ("unionid", "", "n1"),
    ("device_id", "", "d1"),
    ("phone", "", "00000000"),
    ("cookie", "", "null"),
    ("uid", "", "'anonymous'"),
)
COUPON = RuleText(
    name="coupon",
    of=("order_paid", "order_cancelled"),
    within=4 * SECOND,
    expires=8 * SECOND,
    at_least=5_000,
    channels=(("mini", "openid", "wx"), ("sms", "phone", None)),
)
QUICK = RuleText(
    name="quick",
    of=("order_paid",),
    within=3 * SECOND,
    expires=4 * SECOND,
    waits_for=("order",),
    priority=50,
    channels=(("sms", "phone", None), ("mini", "openid", None)),
)
RULES = (
    ("*", COUPON),
    ("*", QUICK),
    ("t2", replace(COUPON, version=2, at_least=4_000, of=("order_paid",))),
    ("*", replace(COUPON, version=3, at_least=None, expires=60 * SECOND)),
    ("*", replace(COUPON, version=5, within=2 * SECOND)),
    ("*", replace(COUPON, version=6, within=7 * SECOND)),
    ("t1", replace(QUICK, version=4, channels=(("mini", "openid", "wx"),))),
    ("*", replace(COUPON, version=7, patience=2 * SECOND)),
)
SETS = ((ORDERS,), (ORDERS, APP), (ORDERS, APP), (ORDERS, APP, SHOPS), (ORDERS, SHOPS))


_KINDS = (*["order_submitted"] * 4, "order_paid", "order_paid", "order_cancelled", "page_view")
_ID_SETS = [ids for most in (1, 2, 0) for ids in combinations(IDS, most)]
_ORDERS = ("o1", "o2", "o3", "o4", "o5", None)
_PEOPLE = (IDS[:1], (IDS[0], IDS[3]), (IDS[2],), (IDS[2], IDS[4]), (IDS[3],), (IDS[4],), (IDS[3], IDS[4]), (IDS[5],))
"""Two people who can be written to in two ways, and now and then turn out to be one."""


@dataclass(frozen=True)
class Story:
    """Lines as the oracle reads them; `breaks` are those before which a new frame begins."""

    lines: tuple[Line, ...] = ()
    breaks: frozenset[int] = frozenset()

    @property
    def frames(self) -> list[Frame]:
        """The same as frames."""
        return frames_of(self.lines, self.breaks)


@dataclass
class Teller:
    """Tells a story step by step, keeping receive times in order."""

    lines: list[Line] = field(default_factory=list)
    breaks: set[int] = field(default_factory=set)
    _times: list[int] = field(default_factory=lambda: [BASE, BASE])
    _floor: dict[Partition, int] = field(default_factory=dict)
    _ids: int = 0

    def event(self, on: Partition, wait: int, event: Callable[[int, str], Event], repeat: int | None) -> None:
        """An event `wait` seconds later, or one with the id of an earlier one."""
        lane = 0 if on in LANES[0] else 1
        self._times[lane] = max(self._times[lane] + wait * SECOND, self._floor.get(on, 0))
        self._ids += 1
        number = self._ids if repeat is None else 1 + repeat % self._ids
        self.lines.append(event(self._times[lane], f"e{number}"))

    def say(self, line: Callable[[int], Item]) -> None:
        """A control or command."""
        self._times[0] = max(self._times[0], self._floor.get(CONTROL, 0))
        self.lines.append(line(self._times[0]))

    def tell(self, lane: int, wait: int, whom: Sequence[Partition], missing: int) -> None:
        """Progress: true (0 items missing), stale (fewer), or of items that never came (more)."""
        time = self._times[lane] + (wait if missing == 0 else 50 if missing > 0 else -3) * SECOND
        if missing == 0:
            self._floor |= {part: max(time, self._floor.get(part, 0)) for part in whom}
        self.lines.append(Told(tuple((named(part), missing, time) for part in whom)))


@st.composite
def _events(
    draw: st.DrawFn, sources_: Sequence[Partition], tenants: Sequence[str], *, delivers: bool
) -> Callable[[Teller], None]:
    on, tenant = draw(st.sampled_from(sources_)), draw(st.sampled_from(tenants))
    wait, kind = draw(st.sampled_from((0, 0, 0, 1, 1, 2, 4))), draw(st.sampled_from(_KINDS))
    order = draw(st.sampled_from(_ORDERS if delivers else ("o1", "o2", "o1", "o2", "o3", None)))
    shift = draw(st.integers(-4, 2) if kind == "order_submitted" else st.integers(-8, 2))
    fen = draw(st.sampled_from((9_000, 5_000, 5_000, 4_999, 4_000, 3_999, None)))
    ids = tuple(draw(st.sampled_from(_PEOPLE if delivers else _ID_SETS)))
    repeat = draw(st.sampled_from((None, None, None, None, None, 0, 1, 3)))

    def event(at: int, id_: str) -> Event:
        return Event(at, read_by(on), named(on), tenant, id_, kind, at + shift * SECOND, order, fen, ids)

    return lambda teller: teller.event(on, wait, event, repeat)


@st.composite
def _controls(draw: st.DrawFn) -> Callable[[Teller], None]:
    read = read_by(CONTROL)
    choice = draw(st.sampled_from(("members", "members", "rule", "rule", "link")))
    if choice == "members":
        members = tuple(named(part) for part in draw(st.sampled_from(SETS)))
        return lambda teller: teller.say(lambda at: Declared(at, read, members))
    if choice == "rule":
        rule = draw(st.sampled_from(RULES))
        return lambda teller: _apply(teller, *rule)
    a, b = draw(st.lists(st.sampled_from(IDS), min_size=2, max_size=2, unique=True))
    return lambda teller: teller.say(lambda at: Commanded(at, read, "t1", (a, b), id=f"c{len(teller.lines)}"))


HOUR = 3_600 * SECOND
CAPS = (CapText(1, within=3 * HOUR), CapText(2, within=24 * HOUR), CapText(2, per="month"), CapText(1, per="day"))
EXITS: tuple[tuple[str, ...], ...] = ((), (), ("page_view",), ("redeemed",), ("page_view", "redeemed"))


RE_ENTRY: tuple[str | int, ...] = ("always", "always", "always", "once", 2 * HOUR)


@st.composite
def asking(draw: st.DrawFn, rule: RuleText) -> RuleText:
    """The rule with something to say of how it is sent."""
    expires = draw(st.sampled_from((rule.expires, 40 * SECOND)))
    choose = draw(st.sampled_from(("first", "cheapest", "best", "best")))
    return replace(
        rule,
        expires=expires,
        best=choose == "best",
        best_hour=min(draw(st.sampled_from((0, 0, 5 * HOUR, 20 * HOUR))), expires * SLOW),
        channels=(("mini", "openid", None), ("sms", "phone", None)),
        exit_on=draw(st.sampled_from(EXITS)),
        re_entry=draw(st.sampled_from(RE_ENTRY)),
        cool_down=draw(st.sampled_from((0, 0, HOUR, 2 * HOUR))),
        disturbs=draw(st.sampled_from((True, True, False))),
        cheapest=choose == "cheapest",
        control=draw(st.sampled_from((0, 0, 0, 0, 50))),
    )


_CAPS = st.lists(st.sampled_from(CAPS), max_size=2, unique=True).map(tuple)


@st.composite
def policies(draw: st.DrawFn) -> PolicyText:
    """A delivery policy that binds often."""
    channels = tuple(
        ChannelText(
            name,
            cost=draw(st.sampled_from((0, 5))),
            caps=draw(_CAPS),
            windows=draw(st.sampled_from(((), (), (("page_view", 2 * HOUR),)))),
            needs_consent=draw(st.sampled_from((False, False, False, False, True))),
            given_by=("order_paid",),
            withdrawn_by=draw(st.sampled_from(((), ("order_cancelled",)))),
        )
        for name in ("mini", "sms")
    )
    return PolicyText(
        version=draw(st.sampled_from((1, 1, 2))),
        zone=draw(st.sampled_from(("Asia/Shanghai", "Europe/Paris"))),
        quiet=draw(st.sampled_from((None, ("22:00", "08:00"), ("09:30", "14:00")))),
        holdout=draw(st.sampled_from((0, 0, 0, 0, 50))),
        caps=draw(_CAPS),
        channels=channels,
    )


@st.composite
def _delivery(draw: st.DrawFn) -> Callable[[Teller], None]:
    read, tenant = read_by(CONTROL), draw(st.sampled_from(("t1", "t1", "t1", "t2")))
    if draw(st.integers(0, 5)) == 0:
        policy, whose = draw(policies()), draw(st.sampled_from(("*", "t1")))
        return lambda teller: teller.say(lambda at: Ordained(at, read, whose, policy))
    rule, order = draw(st.sampled_from(("coupon", "quick"))), draw(st.sampled_from(_ORDERS[:5]))
    attempt, status = draw(st.sampled_from((0, 0, 0, 1))), draw(st.sampled_from(STATUSES))
    shift, again = draw(st.integers(-3, 1)), draw(st.sampled_from((False, False, False, True)))

    def report(teller: Teller, at: int) -> Reported:
        number = f"r{0 if again else len(teller.lines)}"
        return Reported(at, read, tenant, number, rule, order, attempt, status, at + shift * SECOND)

    return lambda teller: teller.say(lambda at: report(teller, at))


STATUSES = ("failed", "failed", "failed", "unsubscribed", "redeemed", "opened", "clicked", "clicked", "sent")
SLOW = 1_800


def stretched(story: Story, factor: int = SLOW) -> Story:
    """The story in slow motion, so that it goes over nights and into another month."""
    return Story(tuple(_slow(line, factor) for line in story.lines), story.breaks)


def _slow(line: Line, factor: int) -> Line:
    def at(time: int) -> int:
        return EVENING + (time - BASE) * factor

    if isinstance(line, Told):
        return Told(tuple((name, missing, at(time)) for name, missing, time in line.progress))
    moved = replace(line, received=at(line.received))
    if isinstance(moved, Event | Reported):
        return replace(moved, time=at(moved.time))
    if isinstance(moved, Applied):
        rule = moved.rule
        lengths = (rule.within, rule.expires, rule.patience)
        within, expires, patience = (length * factor for length in lengths)
        return replace(moved, rule=replace(rule, within=within, expires=expires, patience=patience))
    return moved


@st.composite
def campaigns(draw: st.DrawFn, *, untrue: bool = False) -> Story:
    """A journal over days, with delivery policies, rules that ask for much, and receipts."""
    return stretched(draw(stories(untrue=untrue, delivers=True)))


@st.composite
def _progress(draw: st.DrawFn, *, untrue: bool) -> Callable[[Teller], None]:
    lane = draw(st.sampled_from((0, 0, 1)))
    wait, missing = draw(st.integers(0, 6)), draw(st.sampled_from((0, 0, 0, -1, 1 if untrue else 0)))
    whom = LANES[lane] if draw(st.booleans()) else LANES[lane][:1]
    return lambda teller: teller.tell(lane, wait, whom, missing)


Steps = dict[str, st.SearchStrategy[Callable[[Teller], None]]]


def _steps(tenants: Sequence[str], *, untrue: bool, delivers: bool) -> Steps:
    return {
        "event": _events(EVENT_SOURCES, tenants, delivers=delivers),
        "progress": _progress(untrue=untrue),
        "break": st.just(_break),
        "control": _controls(),
        "delivery": _delivery(),
    }


def _apply(teller: Teller, tenant: str, rule: RuleText) -> None:
    teller.say(lambda at: Applied(at, read_by(CONTROL), tenant, rule))


def _break(teller: Teller) -> None:
    teller.breaks.add(len(teller.lines))


@st.composite
def stories(
    draw: st.DrawFn,
    *,
    untrue: bool = False,
    controls: bool = True,
    delivers: bool = False,
    tenants: Sequence[str] = ("t1", "t1", "t1", "t2"),
) -> Story:
    """A journal. `untrue`: with progress that claims items that never came; `controls`: with more of them mid-way;
    `delivers`: with policies, and receipts."""
    choices = [*["event"] * 16, *["progress"] * 3, "break", *["control"] * 2 * controls, *["delivery"] * 6 * delivers]
    some = st.sampled_from(choices).flatmap(_steps(tenants, untrue=untrue, delivers=delivers).__getitem__)
    least = draw(st.sampled_from((25, 20, 10, 0)))
    more = draw(st.lists(some, min_size=least, max_size=least + 10))
    teller = Teller()
    patience = draw(st.sampled_from((0, 0, 1, 3))) * SECOND
    for tenant, rule in draw(st.sampled_from((RULES[:2], RULES[:3], RULES[: 2 if delivers else 1]))):
        waits = replace(rule, patience=patience)
        _apply(teller, tenant, draw(asking(waits)) if delivers else waits)
    if delivers:
        policy = draw(policies())
        teller.say(lambda at: Ordained(at, read_by(CONTROL), "*", policy))
    members = tuple(named(part) for part in draw(st.sampled_from((*SETS, *SETS, ()))))
    teller.say(lambda at: Declared(at, read_by(CONTROL), members))
    for step in more:
        step(teller)
    return Story(tuple(teller.lines), frozenset(teller.breaks))
