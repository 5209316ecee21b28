"""The brands behind the tenants: their appids, shops, goods and campaigns.

In: a tenant name. Out: its `Brand`, the same one each time. Never: anything about a person.
"""

import random
from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Item:
    """One thing for sale; `title` is what its page shows."""

    item_id: str
    category: str
    title: str


@dataclass(frozen=True, slots=True)
class Brand:
    """One tenant: appids of its mini-program, official account and live shop, its marketplace shops, its shelf."""

    tenant: str
    name: str
    city: str
    mini_appid: str
    official_appid: str
    live_appid: str
    shops: tuple[str, str]
    items: tuple[Item, ...]
    campaigns: tuple[str, ...]
    articles: tuple[str, ...]
    searches: tuple[str, ...]


_Story = tuple[str, str, dict[str, tuple[str, ...]], tuple[str, ...], tuple[str, ...]]

_STORIES: Final[dict[str, _Story]] = {
    "lumi_tea": (
        "鹿米茶",
        "长沙",
        {
            "奶茶": ("茉莉奶绿", "岩烤乌龙奶茶", "桂花酒酿奶茶", "生椰抹茶"),
            "果茶": ("多肉葡萄", "满杯柠檬", "杨枝甘露", "青提茉莉"),
            "周边": ("鹿米随行杯", "帆布袋"),
        },
        ("spring_jasmine", "second_cup_half", "member_day_18", "618_warmup"),
        ("春天第一杯茉莉奶绿", "鹿米新店开在五一广场", "会员日:第二杯半价"),
    ),
    "kape_coffee": (
        "卡沛咖啡",
        "上海",
        {
            "咖啡": ("生椰拿铁", "燕麦澳白", "冷萃美式", "陨石拿铁"),
            "烘焙": ("海盐可颂", "巴斯克芝士", "肉桂卷"),
            "咖啡豆": ("云南保山水洗", "耶加雪菲日晒", "挂耳十片装"),
        },
        ("monday_wakeup", "oat_week", "invite_a_friend", "618_warmup"),
        ("周一早八自救指南", "云南保山:一颗豆子的旅行", "请朋友喝一杯"),
    ),
    "mori_baby": (
        "森芽母婴",
        "杭州",
        {
            "纸尿裤": ("云柔纸尿裤 M", "云柔纸尿裤 L", "夜用拉拉裤 XL"),
            "奶粉": ("森芽有机奶粉 1 段", "森芽有机奶粉 2 段", "森芽有机奶粉 3 段"),
            "洗护": ("婴儿洗发沐浴露", "婴儿绵柔巾", "护臀膏"),
            "玩具": ("木质积木", "布书"),
        },
        ("new_mum_gift", "diaper_refill", "school_of_mums", "618_warmup"),
        ("新手妈妈第一课:夜奶", "换季护肤看这篇", "转段怎么转"),
    ),
}


@cache
def brand_of(tenant: str) -> Brand:
    """The brand of a tenant; one that has no story of its own borrows the first one's goods."""
    name, city, shelf, campaigns, articles = _STORIES.get(tenant, next(iter(_STORIES.values())))
    digits = random.Random(f"{tenant}/appid")
    mini, official, live = (f"wx{digits.getrandbits(64):016x}" for _ in range(3))
    shops = (f"tmall_{tenant}", f"jd_{tenant}")
    searches = tuple(title for titles in shelf.values() for title in titles[:2])
    return Brand(tenant, name, city, mini, official, live, shops, _items(tenant, shelf), campaigns, articles, searches)


def _items(tenant: str, shelf: dict[str, tuple[str, ...]]) -> tuple[Item, ...]:
    """The shelf as items, numbered in the order in which it is written."""
    goods = [(category, title) for category, titles in shelf.items() for title in titles]
    return tuple(Item(f"{tenant[:4]}-{n:03d}", *good) for n, good in enumerate(goods, 1))
