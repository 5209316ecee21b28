"""Time zones out of the pinned package of zones, so that every machine tells the same local time.

In: names such as Asia/Shanghai. Out: zones; a local time of a time in milliseconds. Never: the machine's own zone
files, which differ from one machine to the next and would make a replay differ too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,32}){0,2}$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(2_048)
def zone(name: str) -> ZoneInfo | None:
    """The zone of this name; None where there is none. Names are what events tell, so any text may come."""
    if not _NAME.match(name):
        return None
    place = files("tzdata").joinpath("zoneinfo", *name.split("/"))
    if not place.is_file():
        return None
    try:
        with place.open("rb") as packed:
            return ZoneInfo.from_file(packed, name)
    except ValueError:  # a file of the package that is no zone, such as its list of zones
        return None


def local(time_ms: int, where: ZoneInfo) -> datetime:
    """The local time there, at this time."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(where)
