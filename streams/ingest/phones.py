"""Phone numbers in the one form in which they are compared, E.164: +8613800138000.

In: numbers as people and shops write them. Out: E.164, or None for what is no valid number.
Never: a decision about shared or test numbers (that is identity policy).

The library takes 16 µs a number. Chinese mobiles, nearly all there are, are recognised by the library's own pattern for
them without parsing, also in groups and with their country's prefix (a law holds both ways equal); of the others, the
last ones parsed are remembered.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

HOME: Final = "CN"
"""The region of a number that names none."""

_REMEMBERED = 1 << 16
# The library finds a number in any text and drops what it cannot read: it would make numbers of masked ones
# (138****8000), of names and of extensions.
_WRITTEN = re.compile(r"[+＋]?[\d\s().\-\u2010-\u2015－（）]+")


def _plain_mobile() -> str:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(HOME)
    assert metadata is not None
    assert metadata.mobile is not None
    return str(metadata.mobile.national_number_pattern)


MOBILE: Final = _plain_mobile()
_PLAIN = f"^(?:{MOBILE})$"
_PREFIX = f"+{phonenumbers.country_code_for_region(HOME)}"
_READY = rf"^\{_PREFIX}(?:{MOBILE})$"
_CALLING = rf"(?:\+|00){_PREFIX[1:]}"
_CALLED = f"^{_CALLING}"
_SPACED = rf"^(?:{_CALLING}[ -]?)?\d{{3}}[ -]?\d{{4}}[ -]?\d{{4}}$"


@lru_cache(maxsize=_REMEMBERED)
def e164(number: str, region: str = HOME) -> str | None:
    """The number in E.164, as the library has it; None if it is not valid, or more than a number stands there."""
    if not _WRITTEN.fullmatch(number):
        return None
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def e164_column(numbers: pa.Array) -> pa.Array:
    """`e164` of each of a column of trimmed strings; null where it is not valid."""
    plain = pc.match_substring_regex(numbers, _PLAIN)
    written = pc.if_else(plain, pc.binary_join_element_wise(_PREFIX, numbers, ""), numbers)
    odd = pc.invert(pc.or_(plain, pc.match_substring_regex(numbers, _READY)))
    if not pc.any(odd).as_py():
        return written
    return pc.replace_with_mask(written, odd, _odd_column(numbers.filter(odd)))


def _odd_column(numbers: pa.Array) -> pa.Array:
    """The same, of numbers that are not plain: most are plain ones with a prefix, and spaced out."""
    bare = pc.replace_substring_regex(pc.replace_substring_regex(numbers, "[ -]", ""), _CALLED, "")
    spaced = pc.and_(pc.match_substring_regex(numbers, _SPACED), pc.match_substring_regex(bare, _PLAIN))
    other = pc.invert(spaced)
    parsed = pa.array([e164(number) for number in numbers.filter(other).to_pylist()], pa.string())
    return pc.replace_with_mask(pc.binary_join_element_wise(_PREFIX, bare, ""), other, parsed)
