"""Raw records for a whole pipeline: orders, some of them paid, by people who become known as one; and then silence.

In: choices by Hypothesis. Out: what comes, by partition. Never: a record that ingest refuses.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from streams.journal.frame import Partition
from tests.support.frames import CONTROL, ORDERS, sources
from tests.support.journals import SECOND, rule_text
from tests.support.shell.cluster import Coming
from tests.support.shell.ingest import TENANT
from tests.support.stories import BASE, COUPON
from tests.unit.ingest.raw import control, event, identity

APP = Partition("events.raw.app", 0)
PARTITIONS = (ORDERS, APP, CONTROL)

_OPENID = identity("openid", "o1", "wx")
_PHONE = identity("phone", "+8613900000001")
_PEOPLE = ([_OPENID], [_PHONE], [_OPENID, _PHONE], [identity("openid", "o2", "wx")])
_WAITS = st.sampled_from((1, SECOND, 2 * SECOND))
_ORDER = st.tuples(
    st.sampled_from(("order_submitted", "order_submitted", "order_paid")),
    st.sampled_from(("o1", "o2", "o3")),
    st.sampled_from(_PEOPLE),
    _WAITS,
)
_VIEW = st.tuples(st.sampled_from(_PEOPLE), _WAITS)


@st.composite
def traffic(draw: st.DrawFn) -> Coming:
    """Source set and rule first, then orders and page views, each partition in its own order."""
    orders = draw(st.lists(_ORDER, min_size=2, max_size=6))
    views = draw(st.lists(_VIEW, max_size=3))
    return {
        CONTROL: (_said("sources", sources(ORDERS, APP)["text"]), _said("rules", rule_text(COUPON))),
        ORDERS: tuple(_order(at, *order) for at, order in enumerate(orders)),
        APP: tuple(_view(f"view {at}", *view) for at, view in enumerate(views)),
    }


def afterwards(before: Coming) -> Coming:
    """The same, and much later one more event in each partition, which lets every timer run out."""
    late = {part: _view(f"late in {part.topic}", [_OPENID], 30 * SECOND) for part in (ORDERS, APP)}
    return {part: (*values, *([late[part]] if part in late else [])) for part, values in before.items()}


def _said(kind: str, text: str) -> tuple[bytes, int]:
    return control(control_id=kind, tenant="*", kind=kind, text=text, time=BASE), 1


def _order(at: int, kind: str, order_id: str, who: list[Any], wait_ms: int) -> tuple[bytes, int]:
    value = event(
        tenant=TENANT,
        event_id=f"order {at}",
        event_type=kind,
        event_time=BASE + at * SECOND,
        order_id=order_id,
        amount_fen=9_000,
        identities=who,
    )
    return value, wait_ms


def _view(event_id: str, who: list[Any], wait_ms: int) -> tuple[bytes, int]:
    return event(tenant=TENANT, event_id=event_id, event_time=BASE, identities=who), wait_ms
