"""Random journals of persons who answer what they are sent: over one channel more than another, at some hours.

In: choices by Hypothesis. Out: lines that the oracle reads. Never: a journal so long that an order is forgotten.

They begin two days before thirty days are over, so that what is learned is halved meanwhile.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.frames import APP, CONTROL, ORDERS
from tests.support.journals import SECOND, named, read_by
from tests.support.lines import (
    Applied,
    ChannelText,
    Commanded,
    Declared,
    Event,
    Id,
    Line,
    Ordained,
    PolicyText,
    Reported,
    RuleText,
)

HOUR = 3_600 * SECOND
BEGIN = 657 * 30 * 24 * HOUR - 50 * HOUR
PERSONS: tuple[tuple[Id, ...], ...] = (
    (("openid", "wx", "o1"), ("phone", "", "+8613900000001")),
    (("openid", "wx", "o2"), ("phone", "", "+8613900000002")),
)
PAIRS = ((PERSONS[0][0], PERSONS[1][0]), (PERSONS[0][0], PERSONS[0][1]))
RULE = RuleText(
    name="coupon",
    of=("order_paid",),
    within=HOUR,
    expires=30 * HOUR,
    channels=(("mini", "openid", None), ("sms", "phone", None)),
)
STATUSES = (*["clicked"] * 4, *["opened"] * 4, "redeemed", "failed", "sent")


@st.composite
def _rules(draw: st.DrawFn) -> RuleText:
    return RuleText(
        **RULE.__dict__
        | {
            "best": draw(st.sampled_from((True, True, True, False))),
            "best_hour": draw(st.sampled_from((0, 12, 24, 24))) * HOUR,
            "disturbs": draw(st.booleans()),
        }
    )


@st.composite
def _policies(draw: st.DrawFn) -> PolicyText:
    windows = draw(st.sampled_from(((), (), (("page_view", 9 * HOUR),))))
    return PolicyText(
        zone=draw(st.sampled_from(("Asia/Shanghai", "Asia/Kolkata"))),
        quiet=draw(st.sampled_from((None, ("22:00", "08:00")))),
        channels=(ChannelText("mini", windows=windows),),
    )


@st.composite
def answering(draw: st.DrawFn) -> tuple[Line, ...]:
    """Orders of two persons that nobody pays, and what came of the messages about them."""
    control, read = read_by(CONTROL), read_by(ORDERS)
    lines: list[Line] = [
        Applied(BEGIN, control, "*", draw(_rules())),
        Ordained(BEGIN, control, "*", draw(_policies())),
        Declared(BEGIN, control, (named(ORDERS), named(APP))),
    ]

    def happens(at: int, kind: str, ids: tuple[Id, ...], order: str | None = None) -> None:
        lines.append(Event(at, read, named(ORDERS), "t1", f"e{len(lines)}", kind, at, order, 9_000, ids))

    now, habit = BEGIN, draw(st.integers(0, 23))
    for day in range(draw(st.integers(5, 9))):
        now += draw(st.sampled_from((1, 9, 14, 22))) * HOUR + draw(st.sampled_from((0, 0, 1_200))) * SECOND
        happens(
            now, "order_submitted", draw(st.sampled_from((*[PERSONS[0]] * 4, PERSONS[0][:1], PERSONS[1]))), f"o{day}"
        )
        now += draw(st.sampled_from((1, 2, 2))) * HOUR
        happens(now, draw(st.sampled_from(("login", "login", "page_view"))), PERSONS[0])
        for order in draw(st.lists(st.integers(max(0, day - 2), day), max_size=3)):
            attempt, status = draw(st.sampled_from((0, 0, 0, 1))), draw(st.sampled_from(STATUSES))
            ago = (now // HOUR - habit - draw(st.sampled_from((0, 0, 0, 1, -1, 7)))) % 24
            time = now + draw(st.sampled_from((-ago, -ago, -ago, 24 - ago))) * HOUR
            lines.append(Reported(now, control, "t1", f"r{len(lines)}", "coupon", f"o{order}", attempt, status, time))
        if draw(st.integers(0, 4)) == 0:
            what, pair = draw(st.sampled_from(("link", "link", "unlink"))), draw(st.sampled_from(PAIRS))
            lines.append(Commanded(now, control, "t1", pair, what, f"c{len(lines)}"))
    for later in (12, 30):
        happens(now + later * HOUR, "login", PERSONS[0])
    return tuple(lines)
