"""A journal as one flat list of lines, in the words of semantics.md, for the oracle and for whoever renders it.

In: nothing. Out: types. Never: code of `streams`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Id = tuple[str, str, str]
"""Kind, scope ("" for none), value."""
KINDS = (
    *("uid", "unionid", "external_userid", "phone", "email"),
    *("member_card", "marketplace_id", "openid", "device_id", "cookie"),
)
"""The strongest first, where a policy does not order them otherwise."""


@dataclass(frozen=True)
class RuleText:
    """A rule as far as the oracle needs it; times in milliseconds; channels are (name, kind, scope)."""

    name: str
    of: tuple[str, ...]
    within: int
    expires: int
    channels: tuple[tuple[str, str, str | None], ...]
    version: int = 1
    at_least: int | None = None
    waits_for: tuple[str, ...] = ()
    patience: int = 0
    priority: int = 100
    after: str = "order_submitted"
    cheapest: bool = False
    best: bool = False
    best_hour: int = 0
    exit_on: tuple[str, ...] = ()
    re_entry: str | int = "always"
    cool_down: int = 0
    disturbs: bool = True
    control: int = 0


@dataclass(frozen=True)
class CapText:
    """At most so many in a rolling time, or per period of the calendar."""

    most: int
    within: int = 0
    per: str = ""


@dataclass(frozen=True)
class ChannelText:
    """What holds for a channel; windows are (event type, for how long)."""

    name: str
    cost: int = 0
    caps: tuple[CapText, ...] = ()
    windows: tuple[tuple[str, int], ...] = ()
    needs_consent: bool = False
    given_by: tuple[str, ...] = ()
    withdrawn_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class PolicyText:
    """A delivery policy; `quiet` is from and until, as hours and minutes."""

    version: int = 1
    zone: str = "Asia/Shanghai"
    quiet: tuple[str, str] | None = None
    holdout: int = 0
    caps: tuple[CapText, ...] = ()
    channels: tuple[ChannelText, ...] = ()


@dataclass(frozen=True)
class Scheme:
    """How a shop hashes phones, which have its scope then."""

    scope: str
    salt: str
    algorithm: str = "sha256"
    salt_at: str = "start"
    form: str = "e164"


@dataclass(frozen=True)
class MergePolicyText:
    """A merge policy as far as the oracle needs it: limits are (kind, values, within ms; 0: ever).

    `patterns` are (kind, or "" for all; a regular expression that blocks the values which it fits whole).
    """

    name: str
    version: int = 1
    values: tuple[tuple[str, str], ...] = ()
    hold: tuple[tuple[str, int, int], ...] = ()
    blocked: tuple[str, ...] = ()
    patterns: tuple[tuple[str, str], ...] = ()
    shops: tuple[Scheme, ...] = ()
    seen_with: tuple[tuple[str, int, int], ...] = ()
    seen_on: tuple[tuple[str, int, int], ...] = ()
    large: int = 0
    rivals: int = 0
    priority: tuple[str, ...] = KINDS

    def rank(self, node: tuple[str, ...]) -> tuple[int, str]:
        """What orders ids, the strongest first."""
        return self.priority.index(node[1]), "\x1f".join(node)

    def of(self, kind: str) -> str:
        """exclusive, shareable or weak."""
        return dict(self.values).get(kind, "exclusive")

    def knows(self, person: Iterable[tuple[str, ...]]) -> bool:
        """Whether one of these ids makes its person a known one."""
        return any(self.of(node[1]) == "exclusive" for node in person)

    def limit(self, most: int, within: int) -> str:
        """A limit as the author writes it."""
        return f"{most} per {within // 1_000}s" if within else f"{most} ever"


@dataclass(frozen=True)
class Item:
    """A row of the journal. Before it is taken, every source in `read` has been read up to `received`."""

    received: int
    read: tuple[str, ...]


@dataclass(frozen=True)
class Event(Item):
    """An event out of this source."""

    source: str
    tenant: str
    id: str
    type: str
    time: int
    order: str | None = None
    fen: int | None = None
    ids: tuple[Id, ...] = ()


@dataclass(frozen=True)
class Declared(Item):
    """The source set from now on."""

    members: tuple[str, ...]


@dataclass(frozen=True)
class Applied(Item):
    """This rule is in force for the tenant ("*": all) from now on."""

    tenant: str
    rule: RuleText


@dataclass(frozen=True)
class Ordained(Item):
    """This delivery policy is in force for the tenant ("*": all) from now on."""

    tenant: str
    policy: PolicyText


@dataclass(frozen=True)
class Reported(Item):
    """A sender reports on an attempt to send for an order under a rule."""

    tenant: str
    id: str
    rule: str
    order: str
    attempt: int
    status: str
    time: int


@dataclass(frozen=True)
class Commanded(Item):
    """An operator linked two ids, or unlinked them; released or rejected what is held of one value or of two."""

    tenant: str
    ids: tuple[Id, ...]
    kind: str = "link"
    id: str = ""


@dataclass(frozen=True)
class Ruled(Item):
    """This merge policy is in force for the tenant from now on."""

    tenant: str
    policy: MergePolicyText


@dataclass(frozen=True)
class Told:
    """Progress as (source, items of it that are not in yet, time): it counts where all of them are in."""

    progress: tuple[tuple[str, int, int], ...]


Line = Item | Told
