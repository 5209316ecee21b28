"""Whether the released schemas still keep their promise.

In: the avsc files, the ledger of what was released. Out: problems, each a sentence; none when all is well.
Never: a change of a file.

The promise is FULL_TRANSITIVE: every version reads what every other version of its subject wrote. And a released file
stays as it was, byte for byte: the ledger has its hash.

`python -m schemas.evolution` prints the problems and exits with 1 when there are any.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import Schema, parse

from schemas.records import SUBJECTS
from schemas.registry import LEDGER, Entry, ledger
from schemas.released import AVRO, text, versions


def problems(root: Path = AVRO, entries: Sequence[Entry] | None = None) -> list[str]:
    """What is wrong with the files under `root`, given the ledger (None: ours); empty when nothing is."""
    entries = ledger() if entries is None else entries
    found = [*_ledger_problems(entries), *_file_problems(root, entries)]
    for subject in SUBJECTS:
        found += _subject_problems(root, subject)
    return found


def _ledger_problems(entries: Sequence[Entry]) -> list[str]:
    ids = [entry["id"] for entry in entries]
    return [f"id {one} is given twice in {LEDGER.name}" for one in sorted(set(ids)) if ids.count(one) > 1]


def _file_problems(root: Path, entries: Sequence[Entry]) -> list[str]:
    released = {(entry["subject"], entry["version"]): entry["sha256"] for entry in entries}
    present = {(subject, version) for subject in SUBJECTS for version in versions(subject, root)}
    found = [f"{_name(*one)} was released and is gone" for one in released if one not in present]
    for one in sorted(present):
        if one not in released:
            found.append(f"{_name(*one)} is not in {LEDGER.name}")
        elif _hash(root, *one) != released[one]:
            found.append(f"{_name(*one)} was released and has changed: put it back and make a new version")
    return found


def _subject_problems(root: Path, subject: str) -> list[str]:
    numbers = versions(subject, root)
    if numbers != list(range(1, len(numbers) + 1)) or not numbers:
        return [f"{subject} has versions {numbers}, which must be 1, 2, 3 and so on"]
    try:
        schemas = {number: parse(text(subject, number, root)) for number in numbers}
    except (AvroException, ValueError) as error:
        return [f"{subject} has a file that is not an Avro schema: {error}"]
    pairs = combinations(numbers, 2)
    return [one for old, new in pairs for one in _pair_problems(subject, schemas, old, new)]


def _pair_problems(subject: str, schemas: dict[int, Schema], old: int, new: int) -> list[str]:
    found = []
    for reader, writer in ((new, old), (old, new)):
        checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
        result = checker.get_compatibility(schemas[reader], schemas[writer])
        if result.compatibility is not SchemaCompatibilityType.compatible:
            kinds = ", ".join(sorted({one.value for one in result.incompatibilities}))
            where = ", ".join(sorted(result.messages))
            found.append(f"{subject} v{reader} cannot read what v{writer} wrote: {kinds} ({where})")
    return [*found, *_meaning_problems(subject, schemas, old, new)]


def _meaning_problems(subject: str, schemas: dict[int, Schema], old: int, new: int) -> list[str]:
    """Fields whose bytes fit but mean another thing: milliseconds that became microseconds."""
    before, after = _meanings(schemas[old].to_json(), ""), _meanings(schemas[new].to_json(), "")
    changed = [path for path in before if path in after and before[path] != after[path]]
    return [f"{subject} v{new} gives{path} another logical type than v{old}" for path in changed]


def _meanings(node: Any, path: str) -> dict[str, str | None]:
    """The logical type of every place in a schema, None where there is none."""
    found: dict[str, str | None] = {}
    if isinstance(node, list):
        for one in node:
            found |= _meanings(one, path)
    elif isinstance(node, dict):
        found = {path: node["logicalType"]} if "logicalType" in node else {}
        for field in node.get("fields", []):
            name = f"{path} {field['name']}"
            found |= {name: None, **_meanings(field["type"], name)}
        for key in ("items", "values"):
            found |= _meanings(node.get(key), path)
    return found


def _hash(root: Path, subject: str, version: int) -> str:
    return sha256(text(subject, version, root).encode()).hexdigest()


def _name(subject: str, version: int) -> str:
    return f"{subject}/v{version}.avsc"


if __name__ == "__main__":
    wrong = problems()
    print("\n".join(wrong) or f"{len(ledger())} released schemas are as they were and fit each other")
    sys.exit(1 if wrong else 0)
