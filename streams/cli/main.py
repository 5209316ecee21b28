"""`siyu`: finds the command, reads the settings, runs it, and turns what went wrong into one sentence.

In: arguments. Out: an exit status: 0 done, 1 failed, 2 misused, 130 interrupted. Never: a traceback for a fault that
is not ours; a command's module loaded when another one was asked for, so that `siyu --help` answers at once.

A command is a module of this package with NAME, HELP, EXAMPLE, `add_arguments(parser)` and
`run(arguments, settings) -> int`, listed in `COMMANDS`.
"""

from __future__ import annotations

import argparse
import ast
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from streams.cli.arguments import Parser
from streams.cli.failure import Failure, Misuse

if TYPE_CHECKING:
    from streams.settings import Settings

COMMANDS = (
    "demo",
    "up",
    "worker",
    "publish",
    "backtest",
    "query",
    "rules",
    "policy",
    "identity",
    "explain",
    "delivery",
    "journeys",
    "deadletters",
    "journal",
    "replay",
    "migrate",
    "doctor",
)
"""In the order in which `siyu --help` lists them."""

_CONFIG = Path("siyu.toml")
_INTERRUPTED = 130
_BROKEN_PIPE = 141

_KNOWN = (
    ("streams.settings", "InvalidSettings"),
    ("streams.worker.clients", "BrokerUnavailable"),
    ("streams.worker.control", "NotAnswered"),
    ("streams.worker.servers.process", "ServerUnavailable"),
    ("streams.worker.stack", "WorkerEnded"),
    ("bench.player", "NotPlayed"),
    ("schemas.confluent", "Refused"),
    ("schemas.registry", "RegistryUnavailable"),
    ("schemas.registry", "UnknownSchema"),
    ("sinks.sink", "SinkUnavailable"),
    ("sinks.migrations.runner", "MigrationChanged"),
)
"""Exceptions whose message is a sentence for the user; looked up only in modules that the command has loaded."""


class Command(Protocol):
    """What a command's module offers."""

    NAME: str
    HELP: str
    EXAMPLE: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declares its arguments."""

    def run(self, arguments: argparse.Namespace, settings: Settings) -> int:
        """Does it; the exit status."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command of these arguments (those of the process when None); the exit status."""
    for name in ("streams", "clickhouse_driver"):  # long-running commands set up logging themselves
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        status = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is quiet too
        return _BROKEN_PIPE
    except Exception as error:
        if not isinstance(error, (Failure, OSError, *_known())):
            raise
        print(f"siyu: {_sentence(error)}", file=sys.stderr)
        return 2 if isinstance(error, Misuse) else 1
    return status


def _run(argv: Sequence[str]) -> int:
    top = _top_parser().parse_args(argv)
    command = load(top.command)
    arguments = parser_of(command).parse_args(top.rest, argparse.Namespace(config=top.config))
    return command.run(arguments, _settings(arguments.config))


def load(name: str) -> Command:
    """The command of this name; Misuse where there is none."""
    if name not in COMMANDS:
        raise Misuse(f"there is no command {name}; `siyu --help` lists them")
    module = f"streams.cli.{name}"
    try:
        return cast("Command", import_module(module))
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise Failure(f"`siyu {name}` is not in this version") from None


def help_of(name: str) -> str:
    """The HELP of a command, read from its source, since running a module may take a second; "" if it isn't there."""
    found = find_spec(f"streams.cli.{name}")
    if found is None or found.origin is None:
        return ""
    for statement in ast.parse(Path(found.origin).read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign(targets=[ast.Name("HELP")], value=ast.Constant(str(text))):
                return text
    return ""


def parser_of(command: Command) -> Parser:
    """The parser of one command, with what is common to all."""
    told = f"{command.HELP[0].upper()}{command.HELP[1:]}."
    parser = Parser(prog=f"siyu {command.NAME}", description=told, example=command.EXAMPLE)
    _add_config(parser, default=argparse.SUPPRESS)
    command.add_arguments(parser)
    return parser


def _top_parser() -> Parser:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {text}" for name in COMMANDS if (text := help_of(name)))
    told = "One person across every touchpoint, and action within seconds."
    parser = Parser(prog="siyu", description=told, listed=f"Commands:\n{listed}", example="siyu publish --help")
    _add_config(parser, default=None)
    parser.add_argument("--version", action="version", version=f"siyu-streams {_version()}")
    parser.add_argument("command", metavar="COMMAND")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _add_config(parser: Parser, default: object) -> None:
    told = "settings in TOML (default: ./siyu.toml where there is one)"
    parser.add_argument("--config", type=Path, metavar="FILE", default=default, help=told)


def _settings(config: Path | None) -> Settings:
    from streams.settings import read_settings  # noqa: PLC0415 pydantic is slower than all of `siyu --help`

    return read_settings(config or (_CONFIG if _CONFIG.exists() else None))


def _known() -> tuple[type[Exception], ...]:
    loaded = [(sys.modules[module], name) for module, name in _KNOWN if module in sys.modules]
    return tuple(getattr(module, name) for module, name in loaded)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = error.args[0] if isinstance(error, LookupError) and error.args else error
    return " ".join(str(text).split())


def _version() -> str:
    try:
        return version("siyu-streams")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
