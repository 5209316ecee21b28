"""Ids as issuers hand them out, and the ways in which producers write them down.

In: a seeded random generator, brands. Out: ids in normalised form and their written forms.
Never: gives one value to two people of a tenant, or a placeholder to anybody.
"""

import random
from collections import Counter
from itertools import product
from typing import Any, Final

from bench.traffic.brands import Brand
from bench.traffic.spec import BLOCKED, Id

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_MOBILE: Final = ("131", "135", "136", "137", "138", "139", "150", "158", "159", "176", "178", "186", "188", "189")

Wire = dict[str, Any]
"""One identity as it stands on an event: kind, scope (None where there is one issuer only), value."""


class Mint:
    """Draws new ids. Values number per issuer, so that equal strings stand for strangers in other scopes."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._phones: set[str] = set()
        self._numbers: Counter[tuple[str, str]] = Counter()

    def openid(self, appid: str) -> Id:
        """A WeChat user as one appid sees them."""
        return ("openid", appid, "o" + self._letters(27))

    def unionid(self) -> Id:
        """A WeChat user as all appids of the brand see them."""
        return ("unionid", "", "oU" + self._letters(26))

    def external_userid(self) -> Id:
        """A customer in WeCom."""
        return ("external_userid", "", "wm" + self._letters(30))

    def phone(self) -> Id:
        """A valid mobile number of mainland China that nobody has yet, E.164."""
        while True:
            value = f"+86{self._rng.choice(_MOBILE)}{self._rng.randrange(10**8):08d}"
            if value not in self._phones and value not in BLOCKED:
                self._phones.add(value)
                return ("phone", "", value)

    def uid(self, brand: Brand) -> Id:
        """The brand's own account number; two brands count alike."""
        return ("uid", "", f"U{10_000_000 + self._next('uid', brand.tenant)}")

    def member_card(self, brand: Brand) -> Id:
        """A card handed out in a store."""
        return ("member_card", "", f"66{self._next('card', brand.tenant):010d}")

    def marketplace_id(self, shop: str) -> Id:
        """A buyer as one shop sees them; two shops count alike."""
        return ("marketplace_id", shop, f"buyer_{self._next('buyer', shop):06d}")

    def device_id(self) -> Id:
        """A phone or a tablet."""
        return ("device_id", "", f"{self._rng.getrandbits(128):032x}")

    def cookie(self) -> Id:
        """A browser."""
        return ("cookie", "", f"ck.{self._rng.getrandbits(80):020x}")

    def email(self, brand: Brand) -> Id:
        """A mail address, lower case."""
        return ("email", "", f"m{self._next('email', brand.tenant)}@example.com")

    def _letters(self, count: int) -> str:
        return "".join(self._rng.choices(_LETTERS, k=count))

    def _next(self, what: str, issuer: str) -> int:
        self._numbers[what, issuer] += 1
        return self._numbers[what, issuer]


def wire(ident: Id) -> Wire:
    """An id as it stands on an event, in normalised form."""
    kind, scope, value = ident
    return {"kind": kind, "scope": scope or None, "value": value}


def phone_forms(value: str) -> tuple[str, ...]:
    """The ways in which cashiers, forms and systems write the number `value` (+86 and 11 digits)."""
    n = value.removeprefix("+86")
    spaced = f"{n[:3]} {n[3:7]} {n[7:]}"
    return (n, spaced, "+86 " + spaced.replace(" ", "-"), "0086" + n, value)


def written_forms(ids: tuple[Id, ...]) -> tuple[list[Wire], ...]:
    """The identity lists that an event with these ids may carry: one for each way to write its phone."""
    ways = [[wire((k, s, w)) for w in phone_forms(v)] if k == "phone" else [wire((k, s, v))] for k, s, v in ids]
    return tuple(list(way) for way in product(*ways))
