"""Erasing a person: as if their events had never been; no row has them; no replay brings them back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.frames import encode_resolved
from streams.engine import Engine, Outputs, person_sets
from streams.identity.nodes import base_of
from streams.journal.tables import Tables
from tests.support.crowds import BASE, HASHING, IDS, TILL, breakers, crowds, policies, ruled, seen, tills
from tests.support.frames import CONTROL, fold, public, tables
from tests.support.journals import SECOND, frames_of, read_by
from tests.support.lines import Commanded, Event, Id, Item, Line, MergePolicyText
from tests.support.people import hashes, is_blocked
from tests.support.profiles import law
from tests.support.stories import Story, campaigns, stories

Log = Sequence[Item]
WHO = st.sampled_from(IDS[:-1])
LATE = BASE + 1_000 * SECOND


def erase(who: Id, at: int = LATE) -> Commanded:
    return Commanded(at, read_by(CONTROL), "t1", (who, who), "erase", id=f"erase-{who}-{at}")


def run(lines: Sequence[Line]) -> tuple[Engine, list[Outputs]]:
    return fold(frames_of(lines, frozenset()))


def node(who: Id) -> str:
    return "\x1f".join(("t1", *who))


def members(engine: Engine, who: Id, policy: MergePolicyText) -> frozenset[str]:
    """The nodes of the person of this id; of a hash that its phone stands for, or a phone known by its hash only, of
    the other name's."""
    nodes, others = engine.tables.table("nodes"), map("\x1f".join, hashes(("t1", *who), policy))
    names = (node(who), engine.tables.table("aliases").get(node(who)), *others)
    known = next((name for name in names if name in nodes), None)
    return frozenset(engine.persons.members(engine.persons.node(known).one_id)) if known else frozenset()


def nowhere(engine: Engine, theirs: frozenset[str]) -> frozenset[str]:
    """Those that nobody has any more, after an erasure; a hash of a phone that others have shown is a name of that."""
    nodes, aliases = engine.tables.table("nodes"), engine.tables.table("aliases")
    return frozenset(one for one in theirs if one not in nodes and aliases.get(one) not in nodes)


def values(persons: Iterable[frozenset[str]]) -> set[frozenset[str]]:
    """Persons as sets of plain values: without the nodes of visits and contested values."""
    plain = (frozenset(one for one in person if one == base_of(one)) for person in persons)
    return {person for person in plain if person}


def shared(engine: Engine, theirs: frozenset[str]) -> bool:
    """Whether others have shown an id of these, one is a part of a value, or the breaker has found somebody out."""
    pairs = [pair.split("\x1e") for pair in engine.tables.table("refused")]
    bases = {base_of(one) for one in engine.tables.table("nodes") if one not in theirs}
    told = any(not theirs.isdisjoint(pair) for pair in pairs) or any(one != base_of(one) for one in theirs)
    return told or not theirs.isdisjoint(bases) or bool(engine.tables.table("suspects"))


def without(log: Log, outputs: Sequence[Outputs], gone: frozenset[str]) -> list[Item]:
    """The log less the events that belong to these nodes, by their hashes."""
    facts = tables(outputs).get("events", [])
    theirs = {fact["event_id"] for fact in facts if fact["node"] in gone}
    return [line for line in log if not (isinstance(line, Event) and line.id in theirs)]


@law
@given(policies(), crowds(commands=()), WHO)
def test_an_erased_person_never_was(policy: MergePolicyText, log: Log, who: Id) -> None:
    """Of ids that nobody else has shown: persons, refusals and who a device goes to are those of a log without them."""
    before, outputs = run((ruled(policy), *log))
    theirs = members(before, who, policy)
    assume(theirs and not shared(before, theirs))
    hashes = frozenset(before.persons.node(one).node_id for one in theirs)
    erased, _ = run((ruled(policy), *log, erase(who)))
    never, _ = run((ruled(policy), *without(log, outputs, hashes)))
    assert person_sets(erased) == person_sets(never)
    for name in ("current", "cuts"):
        assert erased.tables.table(name) == never.tables.table(name)
    assert _of_somebody(erased, policy) == _of_somebody(never, policy)
    reasons = [{pair: row[3] for pair, row in one.tables.table("refused").items()} for one in (erased, never)]
    assert reasons[0] == reasons[1]


@law
@given(policies(), crowds(commands=("link", "unlink")), WHO)
def test_who_was_tied_to_nobody_stays_as_they_were(policy: MergePolicyText, log: Log, who: Id) -> None:
    """Others change only where a claim of the erased had made them so: those of the group that is decided again."""
    before, _ = run((ruled(policy), *log))
    theirs = members(before, who, policy)
    after, _ = run((ruled(policy), *log, erase(who)))
    tied = _tied(before, theirs)
    untied = {one: nodes for one, nodes in person_sets(before).items() if nodes.isdisjoint(tied)}
    assert untied.items() <= person_sets(after).items()
    others = {one for nodes in person_sets(before).values() for one in nodes} - theirs
    assert others <= {one for nodes in person_sets(after).values() for one in nodes} | {
        one for one in others if one != base_of(one) and base_of(one) in theirs
    }


def _tied(engine: Engine, theirs: frozenset[str]) -> set[str]:
    """All who hang together with these by refusals, visits and contested values."""
    pairs = [pair.split("\x1e") for pair in engine.tables.table("refused")]
    found, grown = set(theirs), True
    while grown:
        size = len(found)
        found |= {end for pair in pairs if not found.isdisjoint(pair) for end in pair}
        found |= {one for one in engine.tables.table("nodes") if {base_of(o) for o in found} & {base_of(one)}}
        found |= {one for nodes in person_sets(engine).values() if not found.isdisjoint(nodes) for one in nodes}
        grown = len(found) > size
    return found


@law
@given(policies(), crowds(commands=("link", "unlink")), WHO)
def test_a_replay_brings_nobody_back_and_who_returns_starts_afresh(policy: MergePolicyText, log: Log, who: Id) -> None:
    before, _ = run((ruled(policy), *log))
    theirs = members(before, who, policy)
    hashes = frozenset(before.persons.node(one).node_id for one in theirs)
    erased, known = run((ruled(policy), *log, erase(who)))
    again = [_again(line, number) for number, line in enumerate(log) if isinstance(line, Event)]
    engine, outputs = run((ruled(policy), *log, erase(who), *again))
    facts = tables(outputs)
    replayed = [fact for fact in facts.get("events", []) if fact["event_id"].startswith("again-")]
    assert hashes.isdisjoint(fact["node"] for fact in replayed)
    rows = facts.get("identity_map", [])[len(tables(known).get("identity_map", [])) :]
    assert hashes.isdisjoint(row["node"] for row in rows)
    gone = theirs - erased.tables.table("nodes").keys()
    assert gone.isdisjoint(engine.tables.table("nodes"))
    back = replace(seen(0, (who,)), received=LATE + 900 * SECOND, time=LATE + 900 * SECOND, id="back")
    _, outputs = run((ruled(policy), *log, erase(who), *again, back))
    (fact,) = (fact for fact in tables(outputs)["events"] if fact["event_id"] == "back")
    assert fact["node"] not in hashes
    assert node(who) not in gone or fact["one_id"] not in hashes


@law
@given(policies(shops=HASHING) | breakers(shops=HASHING), tills(commands=("link", "unlink")), st.sampled_from(TILL))
def test_the_past_of_an_erased_phone_comes_back_by_none_of_its_names(
    policy: MergePolicyText, log: Log, who: Id
) -> None:
    """Not as that of another either, who holds a hash of the phone.

    Events with two phones are left out: whose of the two one is can't be told from the hash alone, so it goes to the
    one that is left.
    """
    before, outputs = run((ruled(policy), *log))
    phones = {
        before.persons.node(one).node_id
        for one in members(before, who, policy)
        if one.startswith("t1\x1fphone\x1f\x1f")
    }
    theirs = {fact["event_id"] for fact in tables(outputs).get("events", []) if fact["node"] in phones}
    lines = [line for line in log if isinstance(line, Event) and sum(kind == "phone" for kind, *_ in line.ids) == 1]
    again = [_again(line, number) for number, line in enumerate(lines) if line.id in theirs]
    _, outputs = run((ruled(policy), *log, erase(who), *again))
    replayed = [fact for fact in tables(outputs).get("events", []) if fact["event_id"].startswith("again-")]
    assert not replayed


@law
@given(policies(shops=HASHING) | breakers(shops=HASHING), tills(commands=("link", "unlink")), st.sampled_from(TILL))
def test_a_hash_stands_for_a_phone_for_as_long_as_somebody_has_shown_the_phone(
    policy: MergePolicyText, log: Log, who: Id
) -> None:
    """Less those that a pattern blocks, but for the erased one: they are nobody's, so nobody is erased with them."""
    engine, _ = run((ruled(policy), *log, erase(who)))
    nodes, aliases = engine.tables.table("nodes"), engine.tables.table("aliases")
    phones = [one for one in nodes if one.startswith(node(("phone", "", ""))) and one == base_of(one)]
    told = {"\x1f".join(name): phone for phone in phones for name in hashes(tuple(phone.split("\x1f")), policy)}
    assert _of_somebody(engine, policy) == {name: phone for name, phone in told.items() if not _blocks(policy, name)}
    assert node(who) in phones or node(who) not in aliases.values()


def _of_somebody(engine: Engine, policy: MergePolicyText) -> dict[str, str]:
    """Hashes and the phones that they stand for, less those that a pattern blocks."""
    return {name: phone for name, phone in engine.tables.table("aliases").items() if not _blocks(policy, phone)}


def _blocks(policy: MergePolicyText, name: str) -> bool:
    return is_blocked(tuple(name.split("\x1f")), policy)


def _again(line: Event, number: int) -> Event:
    """The same event, sent again under another id long after."""
    return replace(line, received=LATE + (number + 1) * SECOND, id=f"again-{number}")


@law
@given(policies(), crowds(commands=("link", "unlink")), WHO)
def test_the_database_is_told_of_every_hash_that_is_gone(policy: MergePolicyText, log: Log, who: Id) -> None:
    lines = (ruled(policy), *log)
    before, _ = run(lines)
    hashes = {before.persons.node(one).node_id for one in members(before, who, policy)}
    engine, outputs = run((*lines, erase(who)))
    told = tables(outputs)
    assert hashes <= {row["node"] for row in told.get("identity_erased", [])}
    newest = {row["node"]: row["one_id"] for row in told.get("identity_map", [])}
    alive = {engine.persons.node(one).node_id for nodes in person_sets(engine).values() for one in nodes}
    assert newest.keys() - {row["node"] for row in told.get("identity_erased", [])} == alive
    records = [record for _, _, subject, record in public(outputs[-1:]) if record.get("kind") == "erased"]
    assert all(record["a"]["value"] == "" for record in records)


@law
@given(stories() | campaigns(), st.data())
def test_no_row_of_state_names_an_erased_person(story: Story, data: st.DataObject) -> None:
    events = [line for line in story.lines if isinstance(line, Event) and line.ids]
    assume(events)
    event = data.draw(st.sampled_from(events))
    who = data.draw(st.sampled_from(event.ids))
    end = max(
        line.received for line in story.lines if not isinstance(line, Commanded | tuple) and hasattr(line, "received")
    )
    before, _ = fold(frames_of(story.lines))
    one_id = before.persons.node("\x1f".join((event.tenant, *who))).one_id
    theirs = frozenset(before.persons.members(one_id))
    command = Commanded(end, read_by(CONTROL), event.tenant, (who, who), "erase", id="erase")
    engine, _ = fold(frames_of((*story.lines, command)))
    gone = nowhere(engine, theirs)
    for table, key, value in engine.tables.rows():
        assert gone.isdisjoint(_words(key)), table
        assert gone.isdisjoint(_words(value)), table


@law
@given(policies(), crowds(commands=("link", "unlink")), WHO)
def test_no_row_of_identity_names_an_erased_person(policy: MergePolicyText, log: Log, who: Id) -> None:
    before, _ = run((ruled(policy), *log))
    engine, _ = run((ruled(policy), *log, erase(who)))
    gone = nowhere(engine, members(before, who, policy))
    for table, key, value in engine.tables.rows():
        assert gone.isdisjoint(_words(key)), table
        assert gone.isdisjoint(_words(value)), table


def _words(value: Any) -> set[str]:
    """Every node that a row names: keys may hold one between separators."""
    if isinstance(value, str):
        parts = value.replace("\x1e", "\x1f").split("\x1f")
        return {"\x1f".join(parts[at : at + n]) for at in range(len(parts)) for n in (4, 5)}
    if isinstance(value, tuple | list):
        return {word for one in value for word in _words(one)}
    return set()


@law
@given(policies(), crowds(commands=("link", "unlink")), WHO, crowds(), st.data())
def test_an_erasure_is_the_same_however_the_journal_is_cut_and_restored(
    policy: MergePolicyText, log: Log, who: Id, more: Log, data: st.DataObject
) -> None:
    lines = (ruled(policy), *log, erase(who, BASE + 15 * SECOND), *(_later(line) for line in more))
    engine, outputs = run(lines)
    frames = frames_of(lines)
    at = data.draw(st.integers(0, len(frames)))
    first, _ = fold(frames[:at])
    restored, later = fold(frames[at:], Tables(first.tables.rows()), at)
    whole, told = fold(frames)
    assert [encode_resolved(one.resolved) for one in told[at:]] == [encode_resolved(one.resolved) for one in later]
    assert list(whole.tables.rows()) == list(restored.tables.rows())
    assert person_sets(whole) == person_sets(engine)
    assert tables(told) == tables(outputs)


def _later(line: Item) -> Item:
    at = line.received + 20 * SECOND
    return (
        replace(line, received=at, time=at, id=f"{line.id}-later")
        if isinstance(line, Event)
        else replace(line, received=at)
    )


def test_the_shops_of_the_logs_are_those_that_hash() -> None:
    assert {scope for kind, scope, _ in IDS if kind == "phone"} == {"", *(shop.scope for shop in HASHING[-1])}
