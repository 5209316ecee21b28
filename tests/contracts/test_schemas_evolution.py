"""A released schema keeps its promise, and `evolution` notices when it does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from schemas.evolution import problems
from schemas.registry import Entry, ledger
from schemas.released import AVRO, Schema

Change = Callable[[Schema], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the released files."""
    return Path(shutil.copytree(AVRO, tmp_path / "avro"))


def field(schema: Schema, name: str) -> Schema:
    found: Schema = next(one for one in schema["fields"] if one["name"] == name)
    return found


def release(root: Path, change: Change, subject: str = "behaviour_event", version: int = 2) -> list[Entry]:
    """A new version, changed from the one before it and entered in the ledger as it should be."""
    schema = json.loads((root / subject / f"v{version - 1}.avsc").read_text(encoding="utf-8"))
    change(schema)
    written = json.dumps(schema, indent=2).encode()
    (root / subject / f"v{version}.avsc").write_bytes(written)
    return [*ledger(), Entry(subject=subject, version=version, id=100 + version, sha256=sha256(written).hexdigest())]


def test_what_is_released_has_no_problems() -> None:
    assert problems() == []


def test_the_command_says_so_too() -> None:
    done = subprocess.run([sys.executable, "-m", "schemas.evolution"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)


def test_a_released_file_that_changed_is_a_problem(root: Path) -> None:
    path = root / "delivery" / "v1.avsc"
    path.write_text(path.read_text(encoding="utf-8").replace("The brand.", "The tenant."), encoding="utf-8")
    assert problems(root) == ["delivery/v1.avsc was released and has changed: put it back and make a new version"]


def test_a_released_file_that_is_gone_is_a_problem(root: Path) -> None:
    release(root, lambda schema: None)
    (root / "behaviour_event" / "v1.avsc").unlink()
    assert "behaviour_event/v1.avsc was released and is gone" in problems(root)


def test_a_file_without_an_id_is_a_problem(root: Path) -> None:
    release(root, lambda schema: None)
    assert problems(root) == ["behaviour_event/v2.avsc is not in registry.json"]


def test_an_id_given_twice_is_a_problem(root: Path) -> None:
    *others, last = release(root, lambda schema: None)
    assert problems(root, [*others, Entry(**{**last, "id": 1})]) == ["id 1 is given twice in registry.json"]


def test_an_optional_field_may_be_added(root: Path) -> None:
    extra = {"name": "locale", "type": ["null", "string"], "default": None, "doc": "Language of the page."}
    assert problems(root, release(root, lambda schema: schema["fields"].append(extra))) == []


def test_an_optional_field_may_be_removed(root: Path) -> None:
    def remove(schema: Schema) -> None:
        schema["fields"].remove(field(schema, "scene"))

    assert problems(root, release(root, remove)) == []


BREAKING: dict[str, Change] = {
    "a field without default is removed": lambda schema: schema["fields"].remove(field(schema, "tenant")),
    "a field without default is added": lambda schema: schema["fields"].append({"name": "x", "type": "string"}),
    "a type becomes another": lambda schema: field(schema, "amount_fen").update(type=["null", "string"]),
    "a type becomes wider, which old readers cannot follow": lambda schema: field(schema, "touchpoint").update(
        type=["null", "string"]
    ),
    "a record gets another name": lambda schema: schema.update(name="Event"),
    "milliseconds become microseconds": lambda schema: field(schema, "event_time").update(
        type={"type": "long", "logicalType": "timestamp-micros"}
    ),
    "milliseconds become a bare number": lambda schema: field(schema, "event_time").update(type="long"),
}


@pytest.mark.parametrize("change", BREAKING.values(), ids=BREAKING.keys())
def test_a_change_that_breaks_a_reader_or_writer_is_a_problem(root: Path, change: Change) -> None:
    found = problems(root, release(root, change))
    assert found
    assert all(one.startswith("behaviour_event v") for one in found)


def test_a_version_must_fit_all_earlier_ones_not_the_last_alone(root: Path) -> None:
    def remove(schema: Schema) -> None:
        schema["fields"].remove(field(schema, "scene"))

    def add_again_as_number(schema: Schema) -> None:
        schema["fields"].append({"name": "scene", "type": ["null", "long"], "default": None})

    second = release(root, remove)
    third = release(root, add_again_as_number, version=3)
    found = problems(root, [*second, third[-1]])
    assert found
    assert all("v1" in one and "v3" in one for one in found)
