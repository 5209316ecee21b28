"""Which id stands for which writer's schema.

In: schema ids, subjects. Out: ids to write with, schemas to read with.
Never: the network (see `confluent`); a guess for an id that is not known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol, TypedDict

from schemas.records import SOURCES, TRIGGERS
from schemas.released import Schema, latest, schema

LEDGER: Final = Path(__file__).parent / "registry.json"


TOPICS: Final[Mapping[str, str]] = {
    **{f"events.raw.{source}": "behaviour_event" for source in SOURCES},
    "events.deadletter": "dead_letter",
    "identity.changes": "identity_change",
    "identity.commands": "identity_command",
    "control": "control",
    **{f"triggers.{name}": "trigger" for name in TRIGGERS},
    "triggers.revoked": "trigger_revoked",
    "decisions": "decision",
    "deliveries": "delivery",
}
"""The topics that are there by default, with their subjects. Sources and triggers of other names come on top."""


class UnknownSchema(LookupError):
    """Nobody registered this id: the fault of whoever wrote the message."""


class RegistryUnavailable(RuntimeError):
    """The registry did not answer, or not as one: try again later, the message may be good."""


class Registry(Protocol):
    """Ids and the schemas that they stand for. An id never comes to stand for another schema.

    Both calls may be made for every batch, so an implementation remembers what it learnt. Any of them may raise
    `RegistryUnavailable`. An instance must be hashable and weakly referenceable (every ordinary class is).
    """

    def id_of(self, subject: str) -> int:
        """The id of our newest version of the subject, to write with.

        Raises:
            UnknownSchema: it was never registered.
        """
        ...

    def writer(self, schema_id: int) -> Schema:
        """The schema that was written with, as JSON; the same object each time, so do not change it.

        Raises:
            UnknownSchema: no schema has this id, or it is not an Avro record.
        """
        ...


class Entry(TypedDict):
    """One released file as the ledger has it; `sha256` is of the file's bytes."""

    subject: str
    version: int
    id: int
    sha256: str


def ledger(path: Path = LEDGER) -> list[Entry]:
    """Every released file with its fixed id, in the order of release."""
    entries: list[Entry] = json.loads(path.read_text(encoding="utf-8"))
    return entries


class LocalRegistry:
    """The ids that are fixed in this repository: for the embedded stack, tests and backtests.

    It knows our own released versions and nothing else, so a producer with a schema of its own needs a real registry.
    """

    def __init__(self) -> None:
        released = {entry["id"]: (entry["subject"], entry["version"]) for entry in ledger()}
        self._schemas = {id_: schema(*one) for id_, one in released.items()}
        self._ids = {one: id_ for id_, one in released.items()}

    def id_of(self, subject: str) -> int:
        """The fixed id of our newest version.

        Raises:
            UnknownSchema: there is no such subject, or its newest version is not in the ledger.
        """
        try:
            return self._ids[subject, latest(subject)]
        except KeyError:
            raise UnknownSchema(f"subject {subject!r} has no fixed id in {LEDGER.name}") from None

    def writer(self, schema_id: int) -> Schema:
        """The released schema with this id.

        Raises:
            UnknownSchema: no released schema has it.
        """
        try:
            return self._schemas[schema_id]
        except KeyError:
            raise UnknownSchema(f"no released schema has id {schema_id}") from None
