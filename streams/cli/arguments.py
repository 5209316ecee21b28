"""How all commands take their arguments: faults in one sentence, help with an example.

In: what a command declares. Out: parsers. Never: a usage text where a sentence was asked for.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from streams.cli.failure import Failure, Misuse

if TYPE_CHECKING:
    from streams.settings import Settings  # slow to load, and help needs none of it


class Parser(argparse.ArgumentParser):
    """A parser that raises Misuse; `example` stands at the end of its help, `listed` before it."""

    def __init__(self, *, example: str = "", listed: str = "", **more: Any) -> None:
        parts = [listed, f"Example:\n  {example.strip()}" if example else ""]
        epilog = "\n\n".join(part for part in parts if part)
        super().__init__(
            epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **more
        )

    def error(self, message: str) -> NoReturn:
        """Ends the parsing with a sentence."""
        raise Misuse(f"{message}; see `{self.prog} --help`")


def add_action(actions: Any, name: str, told: str, example: str) -> argparse.ArgumentParser:
    """A parser for one action of a command (`actions`: what `add_subparsers` gave), with its own example."""
    added: argparse.ArgumentParser = actions.add_parser(
        name, help=told, description=f"{told[0].upper()}{told[1:]}.", example=example
    )
    return added


def add_tenant(parser: argparse.ArgumentParser) -> None:
    """The option `--tenant`."""
    parser.add_argument("--tenant", help="the brand (default: the only one of the settings)")


def tenant_of(arguments: argparse.Namespace, settings: Settings) -> str:
    """The tenant that is named, else the only one that there is."""
    tenants = settings.tenants
    if arguments.tenant is None and len(tenants) != 1:
        raise Misuse("--tenant is needed: the settings name several tenants, or none")
    tenant = arguments.tenant if arguments.tenant is not None else tenants[0]
    if tenant not in tenants:
        raise Failure(f"tenant {tenant} is not among the tenants of the settings")
    return str(tenant)


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON, an object a line")
