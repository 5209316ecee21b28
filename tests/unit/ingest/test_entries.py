"""Deliveries, commands and controls: which become entries, and why the others are refused."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.records import DeadLetter, Reason
from streams.journal.frame import Partition
from tests.unit.ingest.raw import (
    COMMANDS,
    CONTROL,
    DELIVERIES,
    NOW_MS,
    command,
    control,
    delivery,
    event,
    identity,
    intake,
    stand,
)

SOURCES = "sources:\n- {topic: events.raw.app, partition: 0, start: 17}\n"


def _record(of: Partition, value: bytes | None) -> dict[str, Any]:
    batch = intake().process(stand((of, value)))
    (entry,) = batch.frames[0].entries
    return {"kind": entry.kind, **entry.record}


def _letter(of: Partition, value: bytes | None) -> DeadLetter:
    (letter,) = intake().process(stand((of, value))).dead_letters
    return letter


def _refused(of: Partition, value: bytes | None) -> tuple[str, str]:
    letter = _letter(of, value)
    return letter["reason"], letter["detail"]


def test_a_delivery_becomes_a_receipt() -> None:
    entry = intake().process(stand((DELIVERIES, delivery()))).frames[0].entries[0]
    assert (entry.kind, entry.record["status"], entry.record["time"]) == ("receipt", "sent", NOW_MS)


def test_a_command_has_its_ids_in_the_form_in_which_they_are_compared() -> None:
    record = _record(COMMANDS, command())
    assert record["a"] == {"kind": "uid", "scope": "", "value": "u-1"}
    assert record["b"] == {"kind": "phone", "scope": "", "value": "+8613800138000"}


@pytest.mark.parametrize("kind", ["release", "reject"])
def test_what_is_held_may_be_named_by_the_hash_of_its_node(kind: str) -> None:
    record = _record(COMMANDS, command(kind=kind, a=identity("node", "0f" * 16), b=None))
    assert record["a"] == {"kind": "node", "scope": None, "value": "0f" * 16}


def test_only_a_whole_hash_of_something_held_is_taken_for_a_node() -> None:
    short = {"kind": "release", "a": identity("node", "0f" * 15), "b": None}
    for changes in ({"a": identity("node", "0f" * 16)}, short):
        assert _refused(COMMANDS, command(**changes)) == (
            Reason.INVALID_COMMAND,
            "a is no usable id: unknown_kind",
        )


def test_a_control_for_all_goes_to_every_shard() -> None:
    frames = intake(shards=3).process(stand((CONTROL, control(tenant="*")))).frames
    assert [len(frame.entries) for frame in frames.values()] == [1, 1, 1]


def test_sources_are_carried_as_they_are_written() -> None:
    assert _record(CONTROL, control(kind="sources", tenant="*", text=SOURCES))["text"] == SOURCES


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"kind": "merge"}, "kind is 'merge', allowed are link, unlink, erase, release, reject"),
        ({"b": None}, "b is missing, and link needs two ids"),
        ({"b": identity("phone", "123")}, "b is no usable id: invalid_phone"),
        ({"command_id": " "}, "command_id is empty"),
        ({"who": ""}, "who is empty"),
        ({"time": 5}, "time is 5 ms since 1970, at least 946684800000 is allowed"),
    ],
)
def test_a_bad_command_is_refused(changes: dict[str, Any], detail: str) -> None:
    assert _refused(COMMANDS, command(**changes)) == (Reason.INVALID_COMMAND, detail)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"kind": "law"}, "kind is 'law', allowed are rules, policy, delivery, sources"),
        ({"text": "- a\n- b"}, "text is not a YAML mapping"),
        ({"text": ""}, "text is not a YAML mapping"),
        ({"text": "x" * 300_000}, "text has 300000 characters, at most 262144 are allowed"),
        ({"kind": "sources", "text": SOURCES}, "tenant is 'acme', and sources are set for all: *"),
        ({"kind": "sources", "tenant": "*", "text": "sources: {}"}, "text has no list under sources"),
        (
            {"kind": "sources", "tenant": "*", "text": "sources: [{topic: a}]"},
            "sources[0] has not exactly topic, partition and start",
        ),
        (
            {"kind": "sources", "tenant": "*", "text": "sources: [{topic: a, partition: -1, start: 0}]"},
            "sources[0] has a partition that is not a whole number from 0",
        ),
        (
            {"kind": "sources", "tenant": "*", "text": "sources: [{topic: 7, partition: 1, start: 0}]"},
            "sources[0] has a topic that is no text",
        ),
        (
            {"kind": "sources", "tenant": "*", "text": SOURCES + SOURCES.removeprefix("sources:\n")},
            "text names events.raw.app/0 more than once",
        ),
    ],
)
def test_a_bad_control_is_refused(changes: dict[str, Any], detail: str) -> None:
    assert _refused(CONTROL, control(**changes)) == (Reason.INVALID_CONTROL, detail)


@pytest.mark.parametrize("text", ["a: [", "a: 2020-99-99", "!!int ''", "? [1]\n: 2", "[" * 5000, "a: \x00", "!x y"])
def test_text_that_is_no_yaml_is_refused_whatever_the_parser_makes_of_it(text: str) -> None:
    reason, detail = _refused(CONTROL, control(text=text))
    assert reason == Reason.INVALID_CONTROL
    assert detail.startswith("text is not")


def test_a_delivery_of_an_unknown_status_is_refused() -> None:
    reason, detail = _refused(DELIVERIES, delivery(status="eaten"))
    assert reason == Reason.INVALID_DELIVERY
    assert detail.startswith("status is 'eaten', allowed are accepted, ")


@pytest.mark.parametrize(
    ("of", "value", "reason"),
    [
        (COMMANDS, None, Reason.EMPTY),
        (COMMANDS, b"\0\0", Reason.NOT_FRAMED),
        (COMMANDS, b"\0\xff\xff\xff\xff", Reason.UNKNOWN_SCHEMA_ID),
        (COMMANDS, command()[:-2], Reason.UNDECODABLE),
        (COMMANDS, event(), Reason.UNDECODABLE),
        (COMMANDS, command(why="x" * (1 << 20)), Reason.TOO_LARGE),
        (COMMANDS, command(tenant="*"), Reason.UNKNOWN_TENANT),
        (DELIVERIES, delivery(tenant="nobody"), Reason.UNKNOWN_TENANT),
        (CONTROL, control(tenant="nobody"), Reason.UNKNOWN_TENANT),
    ],
)
def test_a_record_that_cannot_be_one_is_refused(of: Partition, value: bytes | None, reason: Reason) -> None:
    assert _letter(of, value)["reason"] == reason
