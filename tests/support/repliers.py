"""Random histories of travellers who answer what journeys send them: over one channel more than another, at some hours.

In: choices by Hypothesis. Out: rows that the slow interpreter reads, and the minutes of their nights. Never: a history
so long that a message is forgotten.

They begin thirty hours before thirty days are over, so that what is learned is halved meanwhile.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.frames import Ev
from tests.support.travellers import DAY, HOUR, MINUTE, Answered, Cut, Failed, Id, Row, Text, Version
from tests.support.travelling import Interpreter

BEGIN = 656 * 30 * DAY - 30 * HOUR
NIGHTS = frozenset(
    minute for minute in range(BEGIN // MINUTE, (BEGIN + 20 * DAY) // MINUTE) if not 8 <= minute // 60 % 24 < 22
)
"""From 22:00 to 08:00 UTC."""
ONE: tuple[Id, Id] = (("openid", "wx", "o1"), ("phone", "", "+8613912340001"))
OTHER: tuple[Id, Id] = (("openid", "wx2", "o2"), ("phone", "", "+8613912340002"))
CHOICES = st.sampled_from((None, "best", "best", "first"))


@st.composite
def _journeys(draw: st.DrawFn) -> Text:
    """Two messages, and hours between them."""
    hours = st.sampled_from((None, DAY, DAY))
    said = {"rule": "one", "version": 1, "priority": 100, "moves": False, "enter": "enter", "wait": 0}
    said |= {"exit_on": draw(st.sampled_from(((), ("buy",)))), "re_entry": "always"}
    said |= {"most_inside": None, "most_entries": None, "expires": DAY}
    steps: list[Text] = [{"emit": {"choose": draw(CHOICES), "best_hour": draw(hours)}} for _ in range(2)]
    steps.insert(1, {"wait": draw(st.sampled_from((1, 1, 5))) * HOUR})
    steps = [{"name": name, "then": None} | step for name, step in zip("abc", steps, strict=True)]
    return said | {"choose": draw(CHOICES), "best_hour": draw(st.sampled_from((None, None, 10 * HOUR))), "steps": steps}


@st.composite
def answering(draw: st.DrawFn) -> list[Row]:
    """Some days on which one person, and at times another one, enters, and answers what came of it."""
    now, habit = BEGIN, draw(st.integers(0, 23))
    rows: list[Row] = [Version(now, draw(_journeys()))]
    for day in range(draw(st.integers(5, 8))):
        now += draw(st.sampled_from((1, 9, 14, 22))) * HOUR + draw(st.sampled_from((0, 0, 20))) * MINUTE
        ids = draw(st.sampled_from((ONE, ONE, ONE, ONE[:1], ONE[1:], OTHER)))
        kind = draw(st.sampled_from((*["enter"] * 7, "buy")))
        rows.append(Ev(now, kind, ids, id=f"e{day}"))
        now += draw(st.sampled_from((1, 2, 2))) * HOUR
        sent = [one.message for one in Interpreter(rows).run(now).sent]
        for rule, step, event, last in (
            draw(st.lists(st.sampled_from(sent[-4:]), min_size=1, max_size=4)) if sent else ()
        ):
            status = draw(st.sampled_from((*["opened", "clicked"] * 4, "redeemed", "failed", "failed")))
            if status == "failed":
                rows.append(Failed(now, rule, step, event, last))
                continue
            ago = (now // HOUR - habit - draw(st.sampled_from((0, 0, 0, 1, -1, 7)))) % 24
            time = now + draw(st.sampled_from((-ago, -ago, -ago, 24 - ago))) * HOUR
            rows.append(Answered(now, rule, step, event, draw(st.integers(0, last)), status, time))
        if draw(st.integers(0, 6)) == 0 and any(isinstance(row, Ev) and row.ids == ONE for row in rows):
            rows.append(Cut(now, *ONE))
    return rows
