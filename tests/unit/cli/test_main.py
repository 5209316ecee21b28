"""The command `siyu` itself: its help, its examples, its exit statuses."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from sinks.sink import SinkUnavailable
from streams.cli import main as cli
from streams.cli.failure import Failure, Misuse
from streams.cli.main import COMMANDS, help_of, load, main, parser_of
from streams.settings import InvalidSettings

ROOT = Path(__file__).parents[3]
THERE = [name for name in COMMANDS if find_spec(f"streams.cli.{name}") is not None]


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser, and those of its actions."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


def example_of(parser: argparse.ArgumentParser) -> str:
    """The line under `Example:` in its help."""
    lines = parser.format_help().splitlines()
    return lines[lines.index("Example:") + 1].strip()


@pytest.mark.parametrize("name", THERE)
def test_a_command_has_help_with_an_example_that_parses(name: str) -> None:
    command = load(name)
    assert name == command.NAME
    assert help_of(name) == command.HELP
    for parser in parsers(parser_of(command)):
        program, *words = shlex.split(example_of(parser))
        top = cli._top_parser().parse_args(words)
        assert program == "siyu"
        assert top.command == name
        parser_of(command).parse_args(top.rest)


@pytest.mark.parametrize("name", THERE)
def test_help_of_a_command_ends_well(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: siyu {name}")


def test_help_lists_every_command_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    assert all(f"  {name}" in listed for name in THERE)


def test_help_loads_nothing_that_is_slow() -> None:
    program = (
        "import sys\nfrom streams.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'pydantic', 'pyarrow', 'confluent_kafka', 'faust', 'rich', 'chdb'}\n"
        "print(*slow & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A command whose `run` a test replaces."""
    made = SimpleNamespace(NAME="doctor", HELP="a", EXAMPLE="siyu doctor", add_arguments=lambda parser: None)
    monkeypatch.setattr(cli, "load", lambda name: made)
    return made


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (Failure("it is so"), 1, "siyu: it is so\n"),
        (Misuse("wrong"), 2, "siyu: wrong\n"),
        (InvalidSettings("kafka.shards: wrong"), 1, "siyu: kafka.shards: wrong\n"),
        (SinkUnavailable("two\nlines"), 1, "siyu: two lines\n"),
        (FileNotFoundError(2, "No such file", "a.jsonl"), 1, "siyu: a.jsonl: No such file\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_went_wrong_is_one_sentence_and_a_status(
    command: SimpleNamespace, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, said: str
) -> None:
    def run(*_: object) -> int:
        raise error

    command.run = run
    assert main(["doctor"]) == status
    assert capsys.readouterr().err == said


def test_a_fault_of_our_own_keeps_its_traceback(command: SimpleNamespace) -> None:
    def run(*_: object) -> int:
        raise ZeroDivisionError

    command.run = run
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


@pytest.mark.parametrize(
    "words", [["nonsense"], [], ["query"], ["query", "a", "b"], ["rules"], ["rules", "burn"], ["journal", "record"]]
)
def test_a_command_line_that_can_not_be_taken_is_one_sentence(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("siyu: ")
    assert said.count("\n") == 1


def test_settings_that_are_not_there_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "nowhere.toml", "query", "SELECT 1"]) == 1
    assert capsys.readouterr().err.startswith("siyu: nowhere.toml: ")


def test_a_reader_that_hangs_up_is_taken_quietly() -> None:
    program = f"{sys.executable} -m streams.cli rules lint --json deploy/rules/*.yaml | true"
    done = subprocess.run(
        ["bash", "-c", program + "; exit ${PIPESTATUS[0]}"], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 141)
    assert done.stderr == ""


def test_linting_prints_faults_by_line_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "lint", "deploy/rules/unpaid-order-coupon.yaml", "pyproject.toml", "nowhere.yaml"]) == 1
    told = capsys.readouterr()
    assert told.out == "deploy/rules/unpaid-order-coupon.yaml: rule unpaid-order-coupon version 1 is good\n"
    assert told.err.splitlines()[-1] == "nowhere.yaml:1: can't be read: No such file or directory"


def test_two_files_of_one_rule_are_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    path = "deploy/rules/unpaid-order-coupon.yaml"
    assert main(["rules", "lint", path, f"./deploy/../{path}"]) == 1
    assert "stands in" in capsys.readouterr().err
