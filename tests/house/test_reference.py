"""Every setting, field, reason, kind and metric stands on its page, as the code has it, and nothing else does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from schemas.records import ID_KINDS, Reason
from schemas.released import schema
from streams.cli.main import COMMANDS
from streams.delivery.policy import CapSpec, ChannelSpec, DeliveryPolicy, Quiet, ReplyWindow, Trait
from streams.delivery.reasons import Why
from streams.engage.agenda import REMEMBER_MS
from streams.ingest.identifiers import SCOPE_NEEDED, clean
from streams.ingest.validate import Limits
from streams.observe.catalogue import METRICS, document
from streams.rules.conditions import FIELDS
from streams.rules.examples import Example, Expected, Given
from streams.rules.kinds import (
    Absence,
    Count,
    DateOf,
    Distinct,
    Happened,
    Interval,
    Sequence,
    Step,
    Threshold,
    Total,
    When,
)
from streams.rules.spec import Channel, Rule, Send
from streams.rules.steps import Emit, Journey, JourneyStep, MostEntries, Share, WaitFor, Way
from streams.settings import Settings
from tests.house.pages import DOCS, README, ROOT, code, pages, rows

EVENTS, IDENTITY, OPERATIONS, RULES = (DOCS / f"{name}.md" for name in ("events", "identity", "operations", "rules"))

MODELS: dict[str, type[BaseModel]] = {
    "": Rule,
    "when.": When,
    "when.absence.": Absence,
    "when.event.": Happened,
    "when.sequence.": Sequence,
    "when.sequence.steps.": Step,
    "when.count.": Count,
    "when.sum.": Total,
    "when.distinct.": Distinct,
    "when.threshold.": Threshold,
    "when.interval.": Interval,
    "when.date.": DateOf,
    "send.": Send,
    "send.channels.": Channel,
    "journey.": Journey,
    "journey.steps.": JourneyStep,
    "journey.steps.wait_for.": WaitFor,
    "journey.steps.branch.": Way,
    "journey.steps.split.": Share,
    "journey.steps.emit.": Emit,
    "journey.most_entries.": MostEntries,
    "examples.": Example,
    "examples.given.": Given,
    "examples.expect.": Expected,
}
POLICY: dict[str, type[BaseModel]] = {
    "": DeliveryPolicy,
    "quiet_hours.": Quiet,
    "caps.": CapSpec,
    "channels.": ChannelSpec,
    "channels.reply_windows.": ReplyWindow,
    "traits.": Trait,
}


def _settings(part: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, BaseModel):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _as_written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{one}"' for one in value) + "]"
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return text or '""'


def _first_code(page: Path, heading: str) -> list[str]:
    """Names in the first column of the tables under a heading, several of one row too."""
    return [name for row in rows(page, heading) for name in code(row[0])]


def test_the_table_of_settings_has_each_one_with_its_default() -> None:
    told = {code(row[0])[0]: code(row[2])[0] for row in rows(OPERATIONS, "Settings")}
    assert told == {name: _as_written(value) for name, value in _settings(Settings())}


def test_the_table_of_rule_fields_has_each_one() -> None:
    fields = [prefix + name for prefix, model in MODELS.items() for name in model.model_fields]
    assert sorted(_first_code(RULES, "Fields")) == sorted(fields)


def test_the_table_of_the_delivery_policy_has_each_field_and_says_what_is_required() -> None:
    told = {code(row[0])[0]: "required" in row[1] for row in rows(RULES, "The delivery policy")}
    true = {
        prefix + name: field.is_required()
        for prefix, model in POLICY.items()
        for name, field in model.model_fields.items()
    }
    assert told == true


def test_required_rule_fields_are_told_as_such() -> None:
    told = {code(row[0])[0]: "required" in row[1] for row in rows(RULES, "Fields")}
    true = {
        prefix + name: field.is_required()
        for prefix, model in MODELS.items()
        for name, field in model.model_fields.items()
    }
    assert told == true


def test_conditions_are_told_the_fields_that_they_may_name() -> None:
    named = [name.removeprefix("event.") for name in _first_code(RULES, "Conditions")]
    assert sorted(named) == sorted(FIELDS)


def test_every_reason_of_a_decision_is_explained() -> None:
    assert {why.value for why in Why} <= {name for row in rows(RULES) for cell in row for name in code(cell)}


def test_the_table_of_dead_letters_has_each_reason() -> None:
    assert _first_code(EVENTS, "Dead letters") == [reason.value for reason in Reason]


def test_the_table_of_event_fields_is_the_schema() -> None:
    assert _first_code(EVENTS, "Fields") == [field["name"] for field in schema("behaviour_event")["fields"]]


def test_the_table_of_kinds_is_in_order_of_strength() -> None:
    assert _first_code(IDENTITY, "Kinds, strongest first") == list(ID_KINDS)
    needed = [code(row[0])[0] for row in rows(IDENTITY, "Kinds, strongest first") if "needed" in row[1]]
    assert sorted(needed) == sorted(SCOPE_NEEDED)


def test_the_reasons_for_setting_an_id_aside_are_those_of_ingest() -> None:
    told = (clean.__doc__ or "").partition("Reasons:")[2]
    without_brackets = re.sub(r"\([^)]*\)", "", told)
    assert sorted(_first_code(IDENTITY, "What is set aside")) == sorted(re.findall(r"[a-z]+_?[a-z]+", without_brackets))


def test_the_limits_are_those_of_the_code() -> None:
    told, limits = {row[0]: row[1] for row in rows(README, "Limits")}, Limits()
    assert told["record on a raw topic, framing included"] == f"{limits.event_bytes // 2**20} MiB"
    assert told["ids of an event"].startswith(f"{limits.identities};")
    assert told["properties of an event"].startswith(f"{limits.properties};")
    assert f"{limits.property_characters:,} characters" in told["properties of an event"]
    assert told["`event_id`"] == f"{limits.event_id_characters} characters"
    assert told["other texts of an event"].startswith(f"{limits.text_characters} characters")
    assert told["text of a rule; of its condition"].startswith(f"{limits.yaml_characters:,} characters")
    assert f"{limits.future_ms // 3_600_000} h after" in told["`event_time`"]
    assert f"for {REMEMBER_MS // 86_400_000} days" in told["an order under a rule"]


def test_the_page_of_metrics_is_the_catalogue() -> None:
    assert (DOCS / "metrics.md").read_text(encoding="utf-8") == document()


def test_metrics_that_pages_name_exist() -> None:
    known = {metric.name for metric in METRICS}
    for page in pages():
        named = {name for text in code(page.read_text(encoding="utf-8")) for name in re.findall(r"^siyu_[a-z_]+", text)}
        assert named <= known, page.name


def test_metrics_that_nobody_measures_are_told_as_such() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "streams" / "worker").rglob("*.py"))
    silent = {m.name for m in METRICS if not re.search(rf'"(siyu_)?{_short(m.name)}(_total)?"', sources)}
    text = OPERATIONS.read_text(encoding="utf-8").partition("Not measured in this version")[2].partition("\n\n")[0]
    assert {name for name in code(text) if name.startswith("siyu_")} == silent


def _short(name: str) -> str:
    return name.removeprefix("siyu_").removesuffix("_total")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_on_some_page(command: str) -> None:
    assert any(f"siyu {command}" in page.read_text(encoding="utf-8") for page in pages())
