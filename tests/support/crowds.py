"""Random logs of who was seen with whom, made to hurt: few ids, tight limits, shared devices, hashes, commands.

In: choices by Hypothesis. Out: lines that the oracle reads. Never: orders or rules (see `stories`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations

from hypothesis import strategies as st

from tests.support.frames import CONTROL, ORDERS
from tests.support.journals import SECOND, named, read_by
from tests.support.lines import KINDS, Commanded, Event, Id, Item, MergePolicyText, Ruled, Scheme
from tests.support.people import hashed

BASE = 1_700_000_000_000
TMALL, JD = Scheme("tmall", "s"), Scheme("jd", "t", "md5", "end", "national")
HASHING: tuple[tuple[Scheme, ...], ...] = ((TMALL,), (TMALL, JD))
"""The shops of a policy that has some."""
_PHONES = ("+8613900000001", "+8613900000002", "+8613900000003")
STRONG: tuple[Id, ...] = (
    *(("uid", "", value) for value in ("u1", "u2", "u3")),
    *(("unionid", "", value) for value in ("n1", "n2")),
    *(("phone", "", value) for value in _PHONES),
    *(("phone", TMALL.scope, hashed(value, TMALL)) for value in _PHONES[:2]),
    ("phone", JD.scope, hashed(_PHONES[0], JD)),
    *(("openid", scope, value) for scope, value in (("wx", "o1"), ("wx", "o2"), ("wy", "o1"))),
)
SHARED: tuple[Id, ...] = (
    *(("member_card", "", value) for value in ("c1", "c2")),
    *(("device_id", "", value) for value in ("d1", "d2")),
    ("cookie", "", "k1"),
)
NOBODY: Id = ("uid", "", "null")
IDS = (*STRONG, *SHARED, NOBODY)
FREE = MergePolicyText("free", values=(("device_id", "weak"), ("cookie", "weak")))
BLOCKED = st.sampled_from(
    (
        *((), (), (), _PHONES[:1], (hashed(_PHONES[0], TMALL),)),
        *(("u2",), ("n1", "d1"), ("c1", _PHONES[1]), ("o1", "k1")),
    )
)
"""What a policy may list, also a hash of its own."""
PATTERNS = st.sampled_from(
    (
        *((), (), (), (), (("phone", r"\+861.*1"),), (("", r"\+861.*[12]"),), (("phone", "[0-9a-f]{64}"),)),
        *((("uid", ".2"),), (("", "[nd]1"), ("phone", "139|u1")), (("device_id", "[a-c]1"), ("", "U1|o"))),
    )
)
"""Which values a policy may block by what they look like; some fit a part of a value only, or in another case."""
_STRONG, _WEAK = st.just(KINDS[:8]) | st.permutations(KINDS[:8]), st.sampled_from((KINDS[8:], KINDS[:7:-1]))
"""How a policy may order the kinds: those that are weak stay behind the others."""
_LIMITS = ((), ((1, 0),), ((2, 0),), ((1, 2 * SECOND),), ((1, 2 * SECOND), (3, 0)))


@st.composite
def policies(draw: st.DrawFn, *, shops: Sequence[tuple[Scheme, ...]] = (*HASHING, (), ())) -> MergePolicyText:
    """A policy; weak kinds are the last, as they must be."""
    sharing = st.sampled_from(("exclusive", "shareable"))
    values = [("device_id", "weak"), ("cookie", "weak"), ("member_card", draw(sharing)), ("email", draw(sharing))]
    hold = [(kind, *limit) for kind in KINDS for limit in draw(st.sampled_from(_LIMITS))]
    policy = MergePolicyText("crowd", values=tuple(values), hold=tuple(hold), shops=draw(st.sampled_from(shops)))
    large, rivals = draw(st.sampled_from((0, 0, 2, 3))), draw(st.sampled_from((0, 0, 1, 2)))
    policy = replace(policy, large=large, rivals=rivals, priority=(*draw(_STRONG), *draw(_WEAK)))
    return replace(policy, blocked=draw(st.sampled_from(((), (), (), _PHONES[:1]))), patterns=draw(PATTERNS))


@st.composite
def breakers(draw: st.DrawFn, *, shops: Sequence[tuple[Scheme, ...]] = (*HASHING, (), ())) -> MergePolicyText:
    """A policy that suspects values which are seen with a second or third other."""
    limits = {name: draw(st.sampled_from((1, 1, 2, 9))) for name in ("seen_with", "seen_on")}
    within = draw(st.sampled_from((0, 0, 3 * SECOND)))
    seen = {name: tuple((kind, most, within) for kind in KINDS) for name, most in limits.items()}
    return replace(draw(policies(shops=shops)), seen_with=seen["seen_with"], seen_on=seen["seen_on"])


def ruled(policy: MergePolicyText, at: int = BASE) -> Ruled:
    """The line that puts it in force for everyone."""
    return Ruled(at, read_by(CONTROL), "*", policy)


def seen(number: int, ids: Sequence[Id], shift: int = 0) -> Event:
    """An event with these ids, the `number`th, which happened `shift` seconds later than it should."""
    at = BASE + number * SECOND
    return Event(
        at, read_by(ORDERS), named(ORDERS), "t1", f"e{number}", "page_view", at + shift * SECOND, ids=tuple(ids)
    )


@st.composite
def pairs_only(draw: st.DrawFn) -> tuple[Item, ...]:
    """Events of at most two ids, without commands."""
    return tuple(line for line in draw(crowds(commands=())) if isinstance(line, Event) and len(line.ids) < 3)


TILL: tuple[Id, ...] = (
    *(("phone", "", value) for value in _PHONES[:2]),
    *(("phone", TMALL.scope, hashed(value, TMALL)) for value in _PHONES[:2]),
    ("phone", JD.scope, hashed(_PHONES[0], JD)),
    *(("uid", "", "u1"), ("uid", "", "u2"), ("member_card", "", "c1"), ("device_id", "", "d1")),
)


@st.composite
def tills(draw: st.DrawFn, *, commands: Sequence[str] = ("link",), most: int = 10) -> tuple[Item, ...]:
    """Few ids, half of them phones and their hashes, and among the events commands of these kinds."""
    return draw(_logs(TILL, commands, most))


_FEW: tuple[Id, ...] = (
    *(("uid", "", "u1"), ("uid", "", "u2"), ("openid", "wx", "o1")),
    *(("device_id", "", "d1"), ("device_id", "", "d2")),
)


@st.composite
def regulars(draw: st.DrawFn, *, most: int = 24) -> tuple[Item, ...]:
    """Few ids that meet again and again: on devices that are shared, of persons that become one."""
    met = st.sampled_from([ids for size in (1, 2, 2) for ids in combinations(_FEW, size)])
    return tuple(seen(number, ids) for number, ids in enumerate(draw(st.lists(met, min_size=12, max_size=most))))


@st.composite
def crowds(
    draw: st.DrawFn, *, commands: Sequence[str] = ("link",), most: int = 14, together: int = 3
) -> tuple[Item, ...]:
    """Events of so many ids at most, and among them commands of these kinds."""
    return draw(_logs(IDS, commands, most, together))


@st.composite
def _logs(
    draw: st.DrawFn, of: tuple[Id, ...], commands: Sequence[str], most: int, together: int = 3
) -> tuple[Item, ...]:
    seen_ids, named_ids = (
        st.sampled_from(_together(of, together)),
        st.sampled_from([one for one in of if one != NOBODY]),
    )
    lines: list[Item] = []
    for number in range(draw(st.integers(0, most))):
        if commands and draw(st.sampled_from((False, False, False, True))):
            kind = draw(st.sampled_from(commands))
            fewest = 1 if kind in ("release", "reject") else 2
            ids = draw(st.lists(named_ids, min_size=fewest, max_size=2, unique=True))
            lines.append(Commanded(BASE + number * SECOND, read_by(CONTROL), "t1", tuple(ids), kind))
        else:
            lines.append(seen(number, draw(seen_ids), draw(st.sampled_from((0, 0, 0, -3, 1)))))
    return tuple(lines)


@cache
def _together(of: tuple[Id, ...], most: int) -> list[tuple[Id, ...]]:
    """What may stand on one event: mostly two of these ids, and so many at most."""
    return [ids for size in (1, 2, 2, 2, 3) if size <= most for ids in combinations(of, size)]
