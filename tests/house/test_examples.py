"""Every example on a page can be taken by what it is written for."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.codec import decode_one
from schemas.registry import LocalRegistry
from streams.cli.lines import parse_line
from streams.cli.main import COMMANDS, load, parser_of
from streams.identity.policy import DEFAULT, compile_policy
from streams.rehearsal import rehearse
from streams.rules.book import USUAL, compile_rule
from streams.rules.conditions import compile_condition
from tests.house.pages import README, ROOT, Fence, code, fences, pages, prose

LANGUAGES = {"sh", "text", "python", "jsonl", "yaml", "sql", "cel"}
NOT_YET = "Not there yet"
QUERY = re.compile(r'siyu query (?:--json )?"([^"]+)"')


def _named(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fence", [pytest.param(one, id=one.place) for one in fences(*languages)])


def _shell_lines() -> Iterator[tuple[str, str]]:
    for fence in fences("sh"):
        for line in fence.text.splitlines():
            if line.strip() and not line.startswith("#"):
                yield fence.place, line


def test_every_example_names_a_language_that_is_looked_at_here() -> None:
    assert {fence.language for fence in fences()} <= LANGUAGES


@_named("jsonl")
def test_events_are_lines_that_publish_takes(fence: Fence) -> None:
    for line in fence.text.splitlines():
        assert parse_line(line).event["tenant"]


@_named("yaml")
def test_yaml_is_yaml_and_rules_and_policies_compile(fence: Fence) -> None:
    document = yaml.safe_load(fence.text)
    if "rule" in document:
        assert compile_rule(fence.text).rule.version == 1
    if "policy" in document:
        assert compile_policy(fence.text, DEFAULT).version == 1


def test_the_examples_of_rules_on_pages_go_as_they_say() -> None:
    rules = [fence.text for fence in fences("yaml") if "rule" in yaml.safe_load(fence.text)]
    found = [one for text in rules for one in rehearse(text, USUAL)]
    assert found
    assert [one for one in found if one.differences] == []


@_named("cel")
def test_conditions_compile(fence: Fence) -> None:
    for line in fence.text.splitlines():
        assert callable(compile_condition(line))


@_named("python")
def test_programs_compile(fence: Fence) -> None:
    assert compile(fence.text, fence.place, "exec")


def test_the_producers_message_is_one_that_we_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    program = next(fence.text for fence in fences("python") if "def message" in fence.text)
    names: dict[str, Any] = {}
    exec(compile(program.partition("producer = ")[0], "README.md", "exec"), names)
    event = decode_one(names["message"](names["event"]), LocalRegistry(), "behaviour_event")
    assert (event["order_id"], event["amount_fen"]) == ("SO20261008-000417", 32900)


def test_the_rule_of_the_readme_is_the_shipped_one() -> None:
    shipped = (ROOT / "deploy" / "rules" / "unpaid-order-coupon.yaml").read_text(encoding="utf-8")
    shown = next(fence.text for fence in fences("yaml") if fence.page == README)
    assert yaml.safe_load(shown) == {name: it for name, it in yaml.safe_load(shipped).items() if name != "examples"}


@pytest.mark.parametrize(("place", "line"), list(_shell_lines()))
def test_commands_can_be_parsed(place: str, line: str) -> None:
    words = shlex.split(line)
    while re.fullmatch(r"SIYU_\w+=.*", words[0]):
        words = words[1:]
    program, *rest = words
    if program == "make":
        assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
        return
    assert program in ("siyu", ".venv/bin/siyu"), line
    if rest[0] == "--config":
        rest = rest[2:]
    parser_of(load(rest[0])).parse_args(rest[1:])


def test_commands_within_a_sentence_exist() -> None:
    for page in pages():
        for number, heading, line in prose(page):
            for found in code(line):
                words = found.split()
                if words[0] == "siyu" and len(words) > 1 and heading != NOT_YET:
                    assert words[1] in COMMANDS or words[1].startswith(("-", "…")), f"{page.name}:{number}: {found}"


def test_what_is_told_as_not_there_is_not_there() -> None:
    absent = {
        tuple(found.split()[1:])
        for page in pages()
        for _, heading, line in prose(page)
        for found in code(line)
        if heading == NOT_YET and found.startswith("siyu ")
    }
    assert absent
    for command, *action in absent:
        if action:
            help_text = parser_of(load(command)).format_help()
            assert action[0] not in re.findall(r"^ {4}(\w+) ", help_text, re.MULTILINE), f"siyu {command} {action[0]}"
        else:
            assert command not in COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    told = parser_of(load(command)).format_help()
    assert f"siyu {command}" in told
    assert "Example:" in told


_RUN = """
import json, sys
from sinks.embedded import EmbeddedSink
from sinks.migrations import runner
database = EmbeddedSink(sys.argv[1])
runner.apply(database)
for sql in json.load(sys.stdin):
    database.query(sql)
database.close()
"""


def test_queries_run_on_an_empty_database(tmp_path: Path) -> None:
    asked = [fence.text for fence in fences("sql")]
    asked += [sql for page in pages() for sql in QUERY.findall(page.read_text(encoding="utf-8"))]
    assert len(asked) > 3
    command = [sys.executable, "-c", _RUN, str(tmp_path / "facts")]
    done = subprocess.run(command, input=json.dumps(asked), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
