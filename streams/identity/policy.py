"""Which values name nobody, which kinds of id are stronger, and what one person may hold.

In: policy texts; one normalised id. Out: a compiled policy that answers about ids. Never: state of persons; a file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import yaml

from streams.identity.defaults import TEXT
from streams.identity.spec import Blocked, Hashed, InvalidPolicy, Limit, PolicySpec, Values, line_of, parse_policy
from streams.journal.tables import Tables

EVERY_TENANT = "*"
_QUOTES = "'\"“”"
_WORDS = (
    "null|none|nil|nan|undefined|unknown|anonymous|guest|invalid|test|true|false"
    r"|id|email|distinct_?id|not_authenticated|\[object object\]"
)
_PLACEHOLDER = re.compile(rf"^[{_QUOTES}]*(?:[0\-]*|-?1|{_WORDS})[{_QUOTES}]*$", re.IGNORECASE)
_HOME = "+86"
_TEST_PHONES = frozenset(
    (_HOME + number)
    for number in (
        *(f"1{second}000000000" for second in range(3, 10)),
        *("13800138000", "13800000000", "13912345678", "12345678901"),
    )
)
NEVER = 1 << 62

Lines = tuple[tuple[Limit, str], ...]
"""Limits, each as refusals name it."""


@dataclass(frozen=True)
class KindPolicy:
    """What holds for one kind: its rank (0 is the strongest), and each line as refusals name it."""

    rank: int
    values: Values
    values_line: str
    limits: Lines
    seen_with: Lines = ()
    seen_on: Lines = ()

    @cached_property
    def suspicious_from(self) -> int:
        """With fewer others than this no value of the kind can be suspected."""
        return min((limit.values for limit, _ in (*self.seen_with, *self.seen_on)), default=NEVER) + 1


class Bridge(NamedTuple):
    """From which size, or from how many rival kinds, one link does not join two persons; 0: never. With its line."""

    at_least: int
    line: str


@dataclass(frozen=True, slots=True)
class MergePolicy:
    """The rules by which a tenant's ids join. `label`: its name and version."""

    name: str
    version: int
    kinds: Mapping[str, KindPolicy]
    ranks: Mapping[str, int]
    weak: frozenset[str]
    exclusive: frozenset[str]
    large: Bridge
    rivals: Bridge
    hashed_phones: tuple[Hashed, ...]
    _blocked: tuple[Callable[[str, str], bool], ...]
    _blocked_hashes: frozenset[tuple[str, str]]

    @property
    def label(self) -> str:
        """Its name and version."""
        return f"{self.name}@{self.version}"

    @property
    def lists(self) -> bool:
        """Whether it blocks values of its own, beside placeholders and test values."""
        return bool(self._blocked)

    def blocked(self, kind: str, value: str, scope: str = "") -> bool:
        """Whether this value names nobody: a placeholder, also in quotes, a test value, or one that a tenant blocks.

        So does a shop's hash of a phone that is a test value or that the policy lists; not of one that a pattern fits.
        """
        if _PLACEHOLDER.match(value):
            return True
        if kind == "phone" and (value in _TEST_PHONES or (scope, value) in self._blocked_hashes):
            return True
        return any(blocks(kind, value) for blocks in self._blocked)

    def hashes(self, phone: str) -> list[tuple[str, str]]:
        """Scope and value of this phone (E.164) as each shop hashes it."""
        return [(scheme.scope, _hashed(scheme, phone)) for scheme in self.hashed_phones]


def compile_policy(text: str, default: MergePolicy | None = None) -> MergePolicy:
    """The policy of this text; what it says nothing of is as in `default`.

    Raises:
        InvalidPolicy: it does not parse, or what it says does not fit together.
    """
    spec, node = parse_policy(text)
    kinds = {kind: _kind(spec, node, kind, rank, default) for rank, kind in enumerate(spec.priority)}
    weak = frozenset(kind for kind in kinds if kinds[kind].values is Values.WEAK)
    _assert_weak_last(spec, weak)
    return MergePolicy(
        name=spec.policy,
        version=spec.version,
        kinds=kinds,
        ranks={kind: kinds[kind].rank for kind in kinds},
        weak=weak,
        exclusive=frozenset(kind for kind in kinds if kinds[kind].values is Values.EXCLUSIVE),
        large=_bridge(spec, node, "large", spec.bridge.large, default.large if default else None),
        rivals=_bridge(spec, node, "rivals", spec.bridge.rivals, default.rivals if default else None),
        hashed_phones=spec.hashed_phones,
        _blocked=tuple(map(_test, spec.blocked)),
        _blocked_hashes=_blocked_hashes(spec),
    )


def _kind(spec: PolicySpec, node: yaml.Node, kind: str, rank: int, default: MergePolicy | None) -> KindPolicy:
    said, fallback = spec.kinds.get(kind), default.kinds[kind] if default is not None else None
    label = f"{spec.policy}@{spec.version}"
    values, values_line = (fallback.values, fallback.values_line) if fallback else (Values.EXCLUSIVE, label)
    limits = fallback.limits if fallback else ()
    if said is not None and said.values is not None:
        values = said.values
        values_line = f"{label}:{line_of(node, 'kinds', kind, 'values')} {kind}: {values.value}"
    if said is not None and said.hold is not None:
        limits = tuple(
            (limit, f"{label}:{line_of(node, 'kinds', kind, 'hold', at)} {kind}: {limit.text}")
            for at, limit in enumerate(said.hold)
        )
    seen_with, seen_on = (fallback.seen_with, fallback.seen_on) if fallback else ((), ())
    if kind in spec.seen_with:
        seen_with = _lines(spec.seen_with[kind], f"{label}:", (node, "seen_with", kind))
    if kind in spec.seen_on:
        seen_on = _lines(spec.seen_on[kind], f"{label}:", (node, "seen_on", kind))
    return KindPolicy(rank, values, values_line, limits, seen_with, seen_on)


def _lines(said: Sequence[Limit], label: str, place: tuple[yaml.Node, str, str]) -> Lines:
    """The breaker's limits of a kind, each with its line."""
    _, name, kind = place
    words = f"{kind}: {name.replace('_', ' ')}"
    return tuple((limit, f"{label}{line_of(*place, at)} {words} {limit.text}") for at, limit in enumerate(said))


def _bridge(spec: PolicySpec, node: yaml.Node, name: str, said: int | None, fallback: Bridge | None) -> Bridge:
    if said is None:
        return fallback or Bridge(0, "")
    return Bridge(said, f"{spec.policy}@{spec.version}:{line_of(node, 'bridge', name)} bridge: {name} {said}")


def _assert_weak_last(spec: PolicySpec, weak: frozenset[str]) -> None:
    first = next((at for at, kind in enumerate(spec.priority) if kind in weak), len(spec.priority))
    late = [kind for kind in spec.priority[first:] if kind not in weak]
    if late:
        place = "priority" if "priority" in spec.model_fields_set else _odd(spec, spec.priority[first], late[0])
        raise InvalidPolicy(f"{place}: {spec.priority[first]} is weak, so it must stand after {late[0]} in priority")


def _odd(spec: PolicySpec, *kinds: str) -> str:
    """Where the policy says of one of these kinds what does not fit the usual priority."""
    said = next(kind for kind in kinds if kind in spec.kinds and spec.kinds[kind].values is not None)
    return f"kinds.{said}.values"


def _test(blocked: Blocked) -> Callable[[str, str], bool]:
    values = frozenset(value.strip(_QUOTES).casefold() for value in blocked.values)
    pattern = re.compile(blocked.pattern) if blocked.pattern is not None else None

    def blocks(kind: str, value: str) -> bool:
        if blocked.kind not in (None, kind):
            return False
        bare = value.strip(_QUOTES)
        return bare.casefold() in values or (pattern is not None and pattern.fullmatch(bare) is not None)

    return blocks


def _blocked_hashes(spec: PolicySpec) -> frozenset[tuple[str, str]]:
    """Scope and value of the hashes of all phones that are blocked by name."""
    listed = [value.strip(_QUOTES) for one in spec.blocked if one.kind in (None, "phone") for value in one.values]
    phones = _TEST_PHONES.union(value for value in listed if value.startswith("+"))
    return frozenset((scheme.scope, _hashed(scheme, phone)) for scheme in spec.hashed_phones for phone in phones)


def _hashed(scheme: Hashed, phone: str) -> str:
    number = phone.removeprefix(_HOME) if scheme.form == "national" else phone
    text = scheme.salt + number if scheme.salt_at == "start" else number + scheme.salt
    return hashlib.new(scheme.algorithm, text.encode(), usedforsecurity=False).hexdigest()


DEFAULT = compile_policy(TEXT)


class Policies:
    """Rows tenant → text. A policy for tenant "*" is in force for every tenant that has none of its own."""

    def __init__(self, tables: Tables, default: MergePolicy = DEFAULT) -> None:
        self._rows = tables.table("policies")
        self._default = default
        self._compiled = {tenant: compile_policy(text, default) for tenant, text in self._rows.items()}

    def of(self, tenant: str) -> MergePolicy:
        """The policy in force for the tenant."""
        compiled = self._compiled
        return compiled.get(tenant) or compiled.get(EVERY_TENANT) or self._default

    def apply(self, tenant: str, text: str) -> MergePolicy:
        """Puts a policy in force, in place of the tenant's, unless that has the same name and a higher version.

        Raises InvalidPolicy and changes nothing.
        """
        policy = compile_policy(text, self._default)
        before = self._compiled.get(tenant)
        if before is not None and before.name == policy.name and before.version > policy.version:
            raise InvalidPolicy(f"version: {before.version} is in force, {policy.version} is older")
        self._compiled[tenant] = policy
        self._rows.put(tenant, text)
        return policy
