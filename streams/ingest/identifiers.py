"""Ids in the one form in which they are compared, or the reason why one is set aside.

In: columns of kinds, scopes and values as producers know them. Out: the same, cleaned, and a column of reasons.
Never: a refused event: a bad id is set aside, since money must not be lost for a typo. Never an id's value in a reason.

- values and scopes are trimmed; an openid and a marketplace_id need their scope, a member_card keeps its own, every
  other kind has one issuer only, and its scope is dropped;
- phones become E.164, e-mails lower case; a phone with a scope whose value is the hex of a hash is one that a shop
  hashed: it keeps its scope, the shop's scheme.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.records import ID_KINDS
from streams.ingest.phones import e164_column
from streams.ingest.text import has_controls, longer_than

MOST_CHARACTERS: Final = 256
SCOPE_NEEDED: Final = ("openid", "marketplace_id")
SCOPE_KEPT: Final = (*SCOPE_NEEDED, "member_card")

_KINDS = pa.array(ID_KINDS)
_NEEDED = pa.array(SCOPE_NEEDED)
_KEPT = pa.array(SCOPE_KEPT)
_EMAIL = r"^[^@\s]+@[^@\s]+$"
_HASH = r"^(?:[0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$"


class Identifiers(NamedTuple):
    """Columns of equal length; where `reason` is not null the id is set aside, and its value means nothing."""

    kind: pa.Array
    scope: pa.Array
    value: pa.Array
    reason: pa.Array


def clean(kind: pa.Array, scope: pa.Array, value: pa.Array) -> Identifiers:
    """Cleans columns of ids (strings; null scope or value counts as ""). Cleaning twice changes nothing.

    Reasons: unknown_kind, empty, invalid_value (over 256 characters, or a control character), no_scope,
    invalid_phone, invalid_email.
    """
    value = pc.utf8_trim_whitespace(pc.fill_null(value, ""))
    hashed = _hashed(kind, scope, value)
    scope = _scopes(kind, scope, hashed)
    reason = _reasons(kind, scope, value)
    value, reason = _phones(kind, value, reason, hashed)
    value, reason = _emails(kind, value, reason)
    return Identifiers(kind, scope, value, reason)


def _hashed(kind: pa.Array, scope: pa.Array, value: pa.Array) -> pa.Array | None:
    """Which are hashed phones; None where there is none, as nearly always."""
    scoped = pc.and_(pc.equal(kind, "phone"), pc.greater(pc.utf8_length(pc.fill_null(scope, "")), 0))
    if not pc.any(scoped).as_py():
        return None
    return pc.and_(scoped, pc.match_substring_regex(value, _HASH))


def _scopes(kind: pa.Array, scope: pa.Array, hashed: pa.Array | None) -> pa.Array:
    kept = pc.is_in(kind, value_set=_KEPT)
    if hashed is not None:
        kept = pc.or_(kept, hashed)
    return pc.if_else(kept, pc.utf8_trim_whitespace(pc.fill_null(scope, "")), "")


def _reasons(kind: pa.Array, scope: pa.Array, value: pa.Array) -> pa.Array:
    """The first reason that holds for each id, before its own kind's format is looked at."""
    masks = {
        "unknown_kind": pc.invert(pc.is_in(kind, value_set=_KINDS)),
        "empty": pc.equal(value, ""),
        "invalid_value": _either(*(test for text in (value, scope) for test in _spoilt(text))),
        "no_scope": pc.and_(pc.equal(scope, ""), pc.is_in(kind, value_set=_NEEDED)),
    }
    reason = pa.nulls(len(kind), pa.string())
    for name, mask in reversed(masks.items()):
        if mask is not None and pc.any(mask).as_py():
            reason = pc.if_else(mask, name, reason)
    return reason


def _spoilt(text: pa.Array) -> tuple[pa.Array | None, pa.Array | None]:
    return longer_than(text, MOST_CHARACTERS), has_controls(text)


def _either(*masks: pa.Array | None) -> pa.Array | None:
    found: pa.Array | None = None
    for mask in masks:
        if mask is not None:
            found = mask if found is None else pc.or_(found, mask)
    return found


def _phones(kind: pa.Array, value: pa.Array, reason: pa.Array, hashed: pa.Array | None) -> tuple[pa.Array, pa.Array]:
    mask = _good(kind, "phone", reason)
    if hashed is not None:
        value = pc.if_else(hashed, pc.utf8_lower(value), value)
        mask = pc.and_(mask, pc.invert(hashed))
    if not pc.any(mask).as_py():
        return value, reason
    return _settle(value, reason, mask, e164_column(value.filter(mask)), "invalid_phone")


def _emails(kind: pa.Array, value: pa.Array, reason: pa.Array) -> tuple[pa.Array, pa.Array]:
    mask = _good(kind, "email", reason)
    if not pc.any(mask).as_py():
        return value, reason
    lowered = pc.utf8_lower(value.filter(mask))
    valid = pc.match_substring_regex(lowered, _EMAIL)
    nothing = pa.nulls(len(lowered), pa.string())
    return _settle(value, reason, mask, pc.if_else(valid, lowered, nothing), "invalid_email")


def _good(kind: pa.Array, of: str, reason: pa.Array) -> pa.Array:
    return pc.and_(pc.equal(kind, of), pc.is_null(reason))


def _settle(
    value: pa.Array, reason: pa.Array, mask: pa.Array, cleaned: pa.Array, why: str
) -> tuple[pa.Array, pa.Array]:
    """Puts cleaned values where the mask is; a null among them is set aside with this reason."""
    if cleaned.null_count:
        reason = pc.replace_with_mask(
            reason, mask, pc.if_else(pc.is_null(cleaned), why, pa.nulls(len(cleaned), pa.string()))
        )
    return pc.replace_with_mask(value, mask, pc.fill_null(cleaned, "")), reason


def clean_one(kind: str, scope: str | None, value: str) -> tuple[str, str, str] | str:
    """(kind, scope, value) of one id, as `clean` has it, or the reason why it would be set aside."""
    columns = [pa.array([text], pa.string()) for text in (kind, scope, value)]
    cleaned = clean(*columns)
    reason: str | None = cleaned.reason[0].as_py()
    if reason is not None:
        return reason
    return kind, cleaned.scope[0].as_py(), cleaned.value[0].as_py()
