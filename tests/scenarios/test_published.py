"""What others publish about who is who, told to our engine: their outcome, ours, and why where ours differs.

A line of `events` is an event with the ids by kind (`kind@scope`, several values in a list; `day` after the first), or
a command. `persons` is everyone in the end; `belongs` says whose the events are by today's identity, by their number
from 1: an id of that person, nobody, or neither of the two who claim its value. `policy` changes the default one.
`theirs` is told for the reader; a story whose outcome is not theirs says `why`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.engine import Engine, Outputs, person_sets
from tests.support.frames import CONTROL, ORDERS, Ev, Journal, Said, fold, public, sources, tables
from tests.support.journals import policies

HERE = Path(__file__).parent / "published" / "identity"
START = 1_700_006_400_000
DAY = 86_400_000
SCOPES = {"openid": "wx"}
COMMANDS = ("link", "unlink")

Story = dict[str, Any]


def _stories() -> Iterator[Any]:
    for path in sorted(HERE.glob("*.yaml")):
        for story in yaml.safe_load(path.read_text()):
            yield pytest.param(story, id=f"{path.stem}: {story['about']}")


STORIES = list(_stories())


@pytest.mark.parametrize("story", STORIES)
def test_the_outcome_is_ours(story: Story) -> None:
    engine, outputs = fold(_journal(story).frames)
    assert _persons(engine) == {frozenset(map(_node, person)) for person in story["persons"]}
    assert _reasons(outputs, "held") == story.get("held", [])
    if "refused" in story:
        assert _reasons(outputs, "refused") == story["refused"]
    for number, whose in story.get("belongs", {}).items():
        _assert_belongs(engine, outputs, f"e{number}", whose)


def test_every_story_says_what_theirs_is() -> None:
    assert all(story.values[0]["theirs"] for story in STORIES)
    assert any("why" in story.values[0] for story in STORIES)


def _journal(story: Story) -> Journal:
    text = yaml.safe_dump({"policy": "story", "version": 1} | story.get("policy", {}))
    said = [Said(START, "control", sources(ORDERS)), Said(START, "control", policies("*", text))]
    journal = Journal().lane((ORDERS, CONTROL), said)
    for number, line in enumerate(story["events"], 1):
        journal.lane((ORDERS, CONTROL), [_item(line, number)])
    return journal


def _item(line: Mapping[str, Any], number: int) -> Ev | Said:
    at = START + line.get("day", 0) * DAY + number
    command = next((name for name in COMMANDS if name in line), None)
    if command is not None:
        a, b = (dict(zip(("kind", "scope", "value"), _id(text), strict=True)) for text in line[command])
        return Said(at, "command", {"tenant": "t1", "kind": command, "a": a, "b": b, "time": at})
    given = [(kind, value) for kind, values in line.items() if kind != "day" for value in _listed(values)]
    return Ev(at, ids=tuple(_id(f"{kind}:{value}") for kind, value in given), id=f"e{number}")


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _id(text: str) -> tuple[str, str, str]:
    """kind:value or kind@scope:value."""
    name, _, value = text.partition(":")
    kind, _, scope = name.partition("@")
    return kind, scope or SCOPES.get(kind, ""), value


def _node(text: str) -> str:
    return "\x1f".join(("t1", *_id(text)))


def _persons(engine: Engine) -> set[frozenset[str]]:
    """Everyone, without the nodes that tell the visits of one value apart."""
    plain = (frozenset(n for n in person if n.count("\x1f") == 3) for person in person_sets(engine).values())
    return {person for person in plain if person}


def _reasons(outputs: list[Outputs], kind: str) -> list[str]:
    told = [record for _, _, subject, record in public(outputs) if subject == "identity_change"]
    return [record["reason"].partition(" ")[2] for record in told if record["kind"] == kind]


def _assert_belongs(engine: Engine, outputs: list[Outputs], event_id: str, whose: str) -> None:
    (fact,) = (row for row in tables(outputs)["events"] if row["event_id"] == event_id)
    names = {row[1]: row[0] for row in engine.tables.table("nodes").values()}
    person = names.get(fact["node"], "")
    if whose == "nobody":
        assert not person
    elif whose == "neither":
        assert person
        assert all(node.endswith("contested") for node in person_sets(engine)[person])
    else:
        assert person == engine.persons.node(_node(whose)).one_id
