"""What people do when they merely look around: short scripts of pages per brand and touchpoint.

In: brands, presences to refer to. Out: ready-made pages, so that browsing costs little per event.
Never: an order, or anything that a rule about orders listens to.
"""

import random
from collections.abc import Callable
from typing import Any, Final

from bench.traffic.brands import Brand, Item, brand_of
from bench.traffic.outbox import BLANK
from bench.traffic.person import Presence
from bench.traffic.spec import SOURCES, TrafficSpec

Page = dict[str, Any]
Script = tuple[Page, ...]
Shelf = dict[tuple[str, str], list[Script]]
"""(tenant, source) -> scripts; a page is a whole event but for id, time and identities."""

SCRIPTS_PER_SHELF: Final = 64
_WALKS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "miniprogram": (
        ("page_view", "product_view", "add_to_cart"),
        ("page_view", "search", "product_view", "product_view"),
        ("page_view", "coupon_claimed", "product_view"),
        ("page_view", "product_view", "share"),
    ),
    "official_account": (("article_read",), ("article_read", "article_read", "menu_click"), ("menu_click",)),
    "wecom": (("wecom_message",), ("wecom_moment_like", "wecom_message")),
    "h5": (("page_view", "product_view"), ("page_view", "share"), ("page_view", "invite_accepted")),
    "app": (("page_view", "search", "product_view", "add_to_cart"), ("page_view", "product_view")),
    "live": (("live_enter", "live_interact", "product_view"), ("live_enter", "live_interact", "live_interact")),
    "ads": (("ad_click", "page_view"),),
    "sms": (("sms_click",),),
    "pos": (("store_visit",), ("store_visit", "coupon_redeemed")),
    "marketplace": (("page_view", "product_view", "add_to_cart"), ("search", "product_view")),
    "order": (("order_status_viewed",), ("invoice_requested",)),
}
_SHARERS: Final = ("openid", "unionid", "uid")
_SCENES: Final = ("1001", "1005", "1007", "1011", "1035", "1047", "1089", "1154")
_CHANNELS: Final = ("store_qr", "groupon_poster", "kol_xiaohongshu", "moments_ad", "packaging_qr", None, None, None)


def build_shelves(spec: TrafficSpec, presences: list[Presence], rng: random.Random) -> Shelf:
    """Scripts for every brand and touchpoint; invited guests name a presence of their own brand as referrer."""
    shelf: Shelf = {}
    for tenant in spec.tenants:
        own = [p for p in presences if p.tenant == tenant and p.ids[0][0] in _SHARERS]
        for source in SOURCES:
            scripts = [_script(brand_of(tenant), source, own, rng) for _ in range(SCRIPTS_PER_SHELF)]
            shelf[tenant, source] = scripts
    return shelf


def _script(brand: Brand, source: str, own: list[Presence], rng: random.Random) -> Script:
    """One walk, about one item, from one scene, channel and campaign."""
    frame = BLANK | {
        "tenant": brand.tenant,
        "touchpoint": source,
        "scene": rng.choice(_SCENES) if source in ("miniprogram", "live") else None,
        "channel": rng.choice(_CHANNELS),
        "campaign": rng.choice((*brand.campaigns, None, None)),
    }
    item = rng.choice(brand.items)
    return tuple(frame | _page(step, brand, item, own, rng) for step in rng.choice(_WALKS[source]))


def _page(step: str, brand: Brand, item: Item, own: list[Presence], rng: random.Random) -> Page:
    """The fields of one step of a walk."""
    about = {"item_id": item.item_id, "category": item.category, "properties": {"title": item.title}}
    makers: dict[str, Callable[[], Page]] = {
        "product_view": lambda: about,
        "add_to_cart": lambda: about | {"amount_fen": rng.randrange(900, 40_000, 10)},
        "share": lambda: about,
        "search": lambda: {"properties": {"query": rng.choice(brand.searches)}},
        "article_read": lambda: {"properties": {"article": rng.choice(brand.articles)}},
        "invite_accepted": lambda: {"referrer": rng.choice(own).forms[0][0] if own else None},
        "store_visit": lambda: {"properties": {"city": brand.city}},
        "live_interact": lambda: {"properties": {"action": rng.choice(("like", "comment", "gift"))}},
    }
    rest = {"properties": {"page": rng.choice(("home", "list", "mine", "campaign"))}}
    return {"event_type": step} | makers.get(step, lambda: rest)()
