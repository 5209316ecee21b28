"""A merge policy as its author writes it: YAML in, a checked and frozen specification out.

In: the text of a policy. Out: `PolicySpec`, or `InvalidPolicy` with the place and the mend in one sentence.
Never: a decision about an id (see `policy`), a file.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from schemas.records import ID_KINDS
from streams.documents import InvalidDocument

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LIMIT = re.compile(r"^(\d{1,6}) (?:ever|per (\d{1,6})(s|m|h|d))$")
_SCHEME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"


class InvalidPolicy(InvalidDocument):
    """The policy text can't be taken; the message says where and why."""


class Limit(NamedTuple):
    """At most `values` values of a kind, first seen within any `within_ms`; 0: ever. `text` is how it is written."""

    values: int
    within_ms: int
    text: str

    def exceeded(self, seen_ms: list[int]) -> bool:
        """Whether values first seen at these times are too many."""
        if not self.within_ms:
            return len(seen_ms) > self.values
        times = sorted(seen_ms)
        spans = zip(times, times[self.values :], strict=False)
        return any(last - first < self.within_ms for first, last in spans)


class Values(StrEnum):
    """Who may show one value of a kind; see docs/identity.md."""

    EXCLUSIVE = "exclusive"
    SHAREABLE = "shareable"
    WEAK = "weak"


def _limit(value: Any) -> Any:
    match = _LIMIT.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a limit is a number with ever or a time, such as 1 ever or 5 per 7d (or s, m, h)")
    values, number, unit = match.groups()
    within_ms = int(number) * _UNITS[unit] if number else 0
    if not int(values) or (number and not within_ms):
        raise ValueError("a limit is at least 1, per at least 1s")
    return Limit(int(values), within_ms, value)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | int) else value


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"a pattern is a regular expression, and this is none: {error}") from None
    return pattern


IdKind = Literal[ID_KINDS]  # type: ignore[valid-type]  # mypy can't read a Literal from a tuple; pydantic checks it
Limits = Annotated[tuple[Annotated[Limit, BeforeValidator(_limit)], ...], BeforeValidator(_listed)]
Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KindSpec(_Strict):
    """What a tenant says of one kind; what it leaves out is as in the default policy."""

    values: Values | None = None
    hold: Limits | None = None


class BridgeSpec(_Strict):
    """When one link between two persons is too little to join them; 0 turns a part off.

    `large`: both have at least so many ids, weak ones not counted. `rivals`: both bring values of their own of at least
    so many exclusive kinds, each within its issuer.
    """

    large: Annotated[int, Field(ge=0, le=10_000)] | None = None
    rivals: Annotated[int, Field(ge=0, le=10_000)] | None = None


class Blocked(_Strict):
    """Values that name nobody, of one kind or of all: listed ones (in any case and quotes), or all that match."""

    kind: IdKind | None = None
    values: Texts = ()
    pattern: Annotated[str, AfterValidator(_compiles)] | None = None


class Hashed(_Strict):
    """How a shop hashes phones: hex of `algorithm` over the salt and the number; ids of it have this scope."""

    scope: Annotated[str, Field(pattern=_SCHEME)]
    algorithm: Literal["md5", "sha1", "sha256"]
    salt: str = ""
    salt_at: Literal["start", "end"] = "start"
    form: Literal["e164", "national"] = "e164"


class PolicySpec(_Strict):
    """One policy. `priority` lists every kind, the strongest first.

    `seen_with`, `seen_on`: with how many other ids of one kind and issuer a value may be seen before it is suspected;
    `seen_on` counts weak ones, `seen_with` the others.
    """

    policy: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    version: Annotated[int, Field(ge=1)]
    description: str = ""
    priority: tuple[IdKind, ...] = ID_KINDS
    kinds: dict[IdKind, KindSpec] = {}
    seen_with: dict[IdKind, Limits] = {}
    seen_on: dict[IdKind, Limits] = {}
    bridge: BridgeSpec = BridgeSpec()
    blocked: tuple[Blocked, ...] = ()
    hashed_phones: tuple[Hashed, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> PolicySpec:
        if sorted(self.priority) != sorted(ID_KINDS):
            odd = sorted(set(ID_KINDS) - set(self.priority)) or [k for k in self.priority if self.priority.count(k) > 1]
            raise ValueError(f"priority: every kind stands there once, and {odd[0]} does not")
        scopes = [scheme.scope for scheme in self.hashed_phones]
        twice = next((at for at, scope in enumerate(scopes) if scope in scopes[:at]), None)
        if twice is not None:
            raise ValueError(f"hashed_phones.{twice}.scope: {scopes[twice]} stands there twice")
        return self


def parse_policy(text: str) -> tuple[PolicySpec, yaml.Node]:
    """The policy of this YAML text, and the text as nodes that know their lines.

    Raises:
        InvalidPolicy: it is no YAML, or a field is missing, unknown or out of range.
    """
    try:
        node, document = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise InvalidPolicy(f"not YAML: {' '.join(str(error).split())}") from error
    if node is None or not isinstance(document, dict):
        raise InvalidPolicy("a policy is a mapping, with policy and version at its top")
    try:
        return PolicySpec.model_validate(document), node
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidPolicy(f"{place}: {first['msg']}" if place else first["msg"]) from error


def line_of(node: yaml.Node, *place: str | int) -> int:
    """The line, from 1, of what stands at this place of the text, or of the last part of the way that is there."""
    line = node.start_mark.line + 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key.start_mark.line, value) for key, value in node.value if key.value == part]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = [(value.start_mark.line, value) for value in node.value[part : part + 1]]
        else:
            found = []
        if not found:
            break
        line, node = found[0][0] + 1, found[0][1]
    return line
