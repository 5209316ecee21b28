"""The released Avro files: `avro/<subject>/v<version>.avsc`, as text and as JSON.

In: the files beside this module. Out: their text, their JSON, which versions there are.
Never: ids (see `registry`), compatibility (see `evolution`), a change of a file.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from schemas.records import SUBJECTS

AVRO: Final = Path(__file__).parent / "avro"

Schema = dict[str, Any]
"""An Avro record schema as JSON."""


def versions(subject: str, root: Path = AVRO) -> list[int]:
    """Every released version of the subject, oldest first; empty for a subject that there is not."""
    return sorted(int(path.stem[1:]) for path in (root / subject).glob("v*.avsc"))


@cache
def latest(subject: str) -> int:
    """The newest released version: what this code writes, and reads everything as.

    Raises:
        KeyError: there is no such subject.
    """
    found = versions(subject)
    if not found:
        raise KeyError(f"no subject {subject!r}; there are {', '.join(SUBJECTS)}")
    return found[-1]


def text(subject: str, version: int, root: Path = AVRO) -> str:
    """The file of that version, as it stands.

    Raises:
        FileNotFoundError: there is no such version.
    """
    return (root / subject / f"v{version}.avsc").read_text(encoding="utf-8")


@cache
def schema(subject: str, version: int | None = None) -> Schema:
    """The version (newest when None) as JSON; shared, so do not change it.

    Raises:
        KeyError: there is no such subject.
        FileNotFoundError: there is no such version.
    """
    loaded: Schema = json.loads(text(subject, version or latest(subject)))
    return loaded


@cache
def subject_of(record: str) -> str | None:
    """The subject whose record has this name (namespace or none before it), None for a stranger's."""
    name = record.rpartition(".")[2]
    return next((subject for subject in SUBJECTS if schema(subject)["name"] == name), None)
