"""Records that are no events: deliveries, identity commands and controls, read and checked one by one.

In: a raw record of one of these topics. Out: what the journal carries of it, or why it is refused.
Never: what it does (that is the engine's); a look into a rule set or a policy further than that it is a YAML mapping.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.codec import decode_one
from schemas.records import BY_HASH, Reason
from schemas.registry import Registry, UnknownSchema
from streams.ingest.documents import mapping_fault, sources_fault
from streams.ingest.identifiers import clean_one
from streams.ingest.record import RawRecord
from streams.ingest.regroup import EVERY_SHARD, Noted
from streams.ingest.validate import Limits, shown
from streams.outcome import Rejected

Fields = dict[str, Any]

COMMANDS: Final = ("link", "unlink", "erase", "release", "reject")
PAIRED: Final = ("link", "unlink")
HELD: Final = ("release", "reject")
STATUSES: Final = ("accepted", "sent", "opened", "clicked", "redeemed", "failed", "unsubscribed")
SOURCES_KIND: Final = "sources"
DOCUMENTS: Final = ("rules", "policy", "delivery")
_HASH: Final = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Lane:
    """What a topic of entries carries: `check` gives the fields as the journal has them, or what is wrong."""

    kind: str
    subject: str
    invalid: Reason
    required: tuple[str, ...]
    check: Callable[[Fields, Limits], Fields | str]


def _delivery(record: Fields, limits: Limits) -> Fields | str:
    return _one_of("status", record["status"], STATUSES) or record


def _command(record: Fields, limits: Limits) -> Fields | str:
    kind = record["kind"]
    fault = _one_of("kind", kind, COMMANDS)
    if fault is None and kind in PAIRED and record["b"] is None:
        fault = f"b is missing, and {kind} needs two ids"
    return fault or _with_clean_ids(record)


def _with_clean_ids(record: Fields) -> Fields | str:
    """The command with its ids in the form in which the engine compares them."""
    cleaned = dict(record)
    for side in ("a", "b"):
        if record[side] is not None and not _is_hash(record, side):
            one = clean_one(**record[side])
            if isinstance(one, str):
                return f"{side} is no usable id: {one}"
            cleaned[side] = dict(zip(("kind", "scope", "value"), one, strict=True))
    return cleaned


def _is_hash(record: Fields, side: str) -> bool:
    """Whether the id is named by the hash of its node, as may be where something is released or rejected."""
    given = record[side]
    return record["kind"] in HELD and given["kind"] == BY_HASH and bool(_HASH.match(given["value"]))


def _control(record: Fields, limits: Limits) -> Fields | str:
    kind, text = record["kind"], record["text"]
    fault = _one_of("kind", kind, (*DOCUMENTS, SOURCES_KIND))
    if fault is None and len(text) > limits.yaml_characters:
        fault = f"text has {len(text)} characters, at most {limits.yaml_characters} are allowed"
    if fault is None and kind == SOURCES_KIND:
        fault = _for_all(record["tenant"]) or sources_fault(text)
    elif fault is None:
        fault = mapping_fault(text)
    return fault or record


def _for_all(tenant: str) -> str | None:
    return None if tenant == EVERY_SHARD else f"tenant is {shown(tenant)}, and sources are set for all: {EVERY_SHARD}"


LANES: Final[Mapping[str, Lane]] = {
    "deliveries": Lane(
        "receipt", "delivery", Reason.INVALID_DELIVERY, ("delivery_id", "tenant", "trigger_id"), _delivery
    ),
    "identity.commands": Lane(
        "command", "identity_command", Reason.INVALID_COMMAND, ("command_id", "tenant", "who"), _command
    ),
    "control": Lane("control", "control", Reason.INVALID_CONTROL, ("control_id", "tenant", "who", "name"), _control),
}
"""Topics whose records become entries of the journal."""


@dataclass(frozen=True, slots=True)
class EntryReader:
    """Reads records of `LANES`."""

    registry: Registry
    tenants: frozenset[str]
    limits: Limits

    def read(self, at: int, raw: RawRecord) -> Noted | Rejected:
        """The entry of this record, which stands at index `at` of its cut.

        Raises:
            RegistryUnavailable: the registry did not answer.
        """
        lane = LANES[raw.topic]
        record = self._decoded(raw.value, lane)
        if isinstance(record, Rejected):
            return record
        fault = self._fault(record, raw, lane)
        if fault is not None:
            return fault
        checked = lane.check(record, self.limits)
        if isinstance(checked, str):
            return Rejected(lane.invalid, checked)
        return Noted(at, lane.kind, record["tenant"], checked)

    def _decoded(self, value: bytes | None, lane: Lane) -> Fields | Rejected:
        if not value:
            return Rejected(Reason.EMPTY, "the record has no value")
        if len(value) > self.limits.event_bytes:
            return Rejected(Reason.TOO_LARGE, f"{len(value)} bytes, {self.limits.event_bytes} are allowed")
        try:
            return decode_one(value, self.registry, lane.subject)
        except UnknownSchema as error:
            return Rejected(Reason.UNKNOWN_SCHEMA_ID, str(error.args[0]))
        except ValueError as error:
            framed = str(error) != "not framed"
            return Rejected(Reason.UNDECODABLE if framed else Reason.NOT_FRAMED, str(error))

    def _fault(self, record: Fields, raw: RawRecord, lane: Lane) -> Rejected | None:
        """What every lane asks for: required texts, a known tenant, a time that can be."""
        detail = self._text_fault(record, lane) or self._time_fault(record["time"], raw.time_ms)
        if detail is not None:
            return Rejected(lane.invalid, detail)
        tenant = record["tenant"]
        if tenant in self.tenants or (tenant == EVERY_SHARD and lane.kind == "control"):
            return None
        return Rejected(Reason.UNKNOWN_TENANT, f"tenant {shown(tenant)} is not among the tenants declared here")

    def _text_fault(self, record: Fields, lane: Lane) -> str | None:
        for name in lane.required:
            text, most = record[name], self.limits.text_characters
            if not text.strip():
                return f"{name} is empty"
            if len(text) > most:
                return f"{name} has {len(text)} characters, at most {most} are allowed"
        return None

    def _time_fault(self, time_ms: int, received_ms: int) -> str | None:
        if time_ms > received_ms + self.limits.future_ms:
            ahead = time_ms - received_ms
            return f"time is {ahead} ms after the record was received, at most {self.limits.future_ms} are allowed"
        if time_ms < self.limits.oldest_ms:
            return f"time is {time_ms} ms since 1970, at least {self.limits.oldest_ms} is allowed"
        return None


def _one_of(name: str, got: str, allowed: tuple[str, ...]) -> str | None:
    return None if got in allowed else f"{name} is {shown(got)}, allowed are {', '.join(allowed)}"
