"""`siyu identity show` and `explain` over what the engine makes of a journal, on chDB and on a real ClickHouse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from schemas.records import Identity
from sinks.writer import BlockWriter
from streams.cli.failure import Failure
from streams.cli.main import main
from streams.cli.named import Naming
from streams.identity.policy import DEFAULT, compile_policy
from streams.journal.frame import Frame
from tests.support.frames import SALT, Ev, Journal, Said, fold
from tests.unit.sinks.opened import DATABASES, migrated_database

BASE = 1_718_000_000_000
OPENID, UNION = ("openid", "wx1", "o-1"), ("unionid", "", "n-1")
PHONE, UID = ("phone", "", "+8613912340001"), ("uid", "", "u-1")
TABLET, OTHER = ("device_id", "", "d-1"), ("uid", "", "u-2")

Siyu = Callable[..., list[dict[str, Any]]]


def story() -> list[Frame]:
    """Weeks under an openid, a late unionid, a phone at a till, a login; then somebody else shows the phone."""
    journal = Journal()
    seen = [(OPENID,), (OPENID,), (UNION, OPENID), (UNION, PHONE), (UID, PHONE), (UID, TABLET), (OTHER, PHONE)]
    places = ("miniprogram", "miniprogram", "miniprogram", "pos", "app", "app", "pos")
    for number, (ids, place) in enumerate(zip(seen, places, strict=True)):
        journal.add(Ev(BASE + number * 60_000, ids=ids, id=f"e{number}", touchpoint=place))
    return journal.frames


def unlinked(at: int) -> Said:
    a, b = ({"kind": kind, "scope": scope or None, "value": value} for kind, scope, value in (UNION, PHONE))
    return Said(at, "command", {"tenant": "t1", "kind": "unlink", "a": a, "b": b, "time": at, "command_id": "c1"})


@pytest.fixture(params=DATABASES)
def played(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[list[Frame]], Siyu]]:
    """Writes what the engine makes of frames; what it gives runs a command and reads its JSON lines."""
    with migrated_database(request, tmp_path) as database:
        native = request.param == "native"
        server = f"clickhouse://default@{request.getfixturevalue('clickhouse').address}" if native else ""
        monkeypatch.setenv("SIYU_SINK__URL", server or f"chdb://{tmp_path}/facts")
        monkeypatch.setenv("SIYU_TENANTS", "t1")
        monkeypatch.setenv("SIYU_SALT", SALT.decode())
        monkeypatch.setenv("SIYU_DATA", str(tmp_path))

        def siyu(*words: str) -> list[dict[str, Any]]:
            assert main(["identity", *words, "--json"]) == 0
            return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

        def play(frames: list[Frame]) -> Siyu:
            _, outputs = fold(frames)
            BlockWriter(database, 0).write([output.resolved for output in outputs])
            return siyu

        yield play


def test_a_person_is_shown_with_ids_sightings_links_and_refusals(played: Callable[[list[Frame]], Siyu]) -> None:
    siyu = played(story())
    told = siyu("show", "phone:13912340001")
    (person,) = [one for one in told if one["what"] == "person"]
    ids = {one["id"]: one for one in told if one["what"] == "id"}
    assert set(ids) == {"openid@wx1:o-1", "unionid:n-1", "phone:+86139****0001", "uid:u-1", "device_id:d-1"}
    openid = ids["openid@wx1:o-1"]
    assert (openid["events"], openid["touchpoints"]) == (2, ["miniprogram"])
    assert (openid["first_seen"], openid["last_seen"]) == ("2024-06-10 06:13:20", "2024-06-10 06:15:20")
    assert ids["phone:+86139****0001"]["touchpoints"] == ["app", "pos"]
    links = [(one["a"], one["b"], one["event_id"]) for one in told if one["what"] == "linked"]
    assert ("unionid:n-1", "phone:+86139****0001", "e3") in links
    (refused,) = [one for one in told if one["what"] == "refused"]
    assert (refused["a"], refused["b"], refused["event_id"]) == ("uid:u-2", "phone:+86139****0001", "e6")
    assert "uid: 1 ever" in refused["reason"]
    assert siyu("show", person["one_id"]) == told
    assert "13912340001" not in json.dumps(told)


TILL = ("phone", "", "+8613912340009")


def till() -> Journal:
    """A shop types its own number for nine customers who show a card; the last one is known by an account too."""
    journal = Journal()
    for number in range(9):
        card = ("member_card", "", f"c{number}")
        journal.add(Ev(BASE + number * 60_000, ids=(card, TILL), id=f"e{number}", touchpoint="pos"))
    return journal.add(Ev(BASE + 600_000, ids=(UID, ("member_card", "", "c8")), id="e9"))


def test_held_links_of_a_person_are_shown_and_drawn_until_they_are_released(
    played: Callable[[list[Frame]], Siyu], tmp_path: Path
) -> None:
    siyu = played(till().frames)
    (held,) = [one for one in siyu("show", "uid:u-1", "--svg", str(tmp_path / "one.svg")) if one["what"] == "held"]
    assert {held["a"], held["b"]} == {"member_card:c8", "phone:+86139****0009"}
    assert (held["event_id"], "seen with" in held["reason"]) == ("e8", True)
    assert (tmp_path / "one.svg").read_text().count('<path class="refused"') == 1
    of_till = siyu("show", "phone:13912340009", "--svg", str(tmp_path / "till.svg"))
    assert [one["b"] for one in of_till if one["what"] == "held"].count(None) == 1
    assert len([one for one in of_till if one["what"] == "held"]) == 10
    assert '<path class="refused"' not in (tmp_path / "till.svg").read_text()
    assert (tmp_path / "till.svg").read_text().count('<g class="other"') == 1
    assert "13912340009" not in json.dumps(of_till) + (tmp_path / "till.svg").read_text()


def test_an_id_that_only_a_held_link_shows_was_seen_then(played: Callable[[list[Frame]], Siyu]) -> None:
    (card,) = [one for one in played(till().frames)("show", "member_card:c1") if one["what"] == "id"]
    assert (card["first_seen"], card["events"]) == ("2024-06-10 06:14:20", 0)


def test_what_was_released_is_held_no_more(played: Callable[[list[Frame]], Siyu]) -> None:
    at, journal = BASE + 700_000, till()
    named = {"a": {"kind": TILL[0], "scope": None, "value": TILL[2]}, "b": None}
    said = Said(at, "command", {"tenant": "t1", "kind": "release", **named, "time": at, "command_id": "c1"})
    siyu = played(journal.lane((*journal.partitions, said.on), [said]).frames)
    assert "held" not in {one["what"] for one in siyu("show", "uid:u-1")}


def test_a_former_name_leads_to_todays_person(played: Callable[[list[Frame]], Siyu]) -> None:
    journal = Journal().add(Ev(BASE, ids=(OPENID,))).add(Ev(BASE + 1, ids=(UID,)))
    before = fold(journal.frames)[0].persons.everyone()
    siyu = played(journal.add(Ev(BASE + 2, ids=(UID, OPENID))).frames)
    shown = [siyu("show", one_id) for one_id in before]
    assert shown[0] == shown[1]
    (merged,) = [one for one in shown[0] if one["what"] == "merged"]
    assert {merged["one_id"], merged["into"]} == set(before)


def test_a_chain_of_evidence_names_its_weakest_link(played: Callable[[list[Frame]], Siyu]) -> None:
    steps = played(story())("explain", "openid@wx1:o-1", "uid:u-1")
    assert [(one["a"], one["b"], one["event_id"], one["touchpoint"]) for one in steps] == [
        ("openid@wx1:o-1", "unionid:n-1", "e2", "miniprogram"),
        ("unionid:n-1", "phone:+86139****0001", "e3", "pos"),
        ("phone:+86139****0001", "uid:u-1", "e4", "app"),
    ]
    assert [bool(one["weakest"]) for one in steps] == [True, False, False]


def test_two_persons_are_told_apart_with_what_was_refused(played: Callable[[list[Frame]], Siyu]) -> None:
    apart, refused = played(story())("explain", "uid:u-1", "uid:u-2")
    assert (apart["what"], len(set(apart["one_ids"]))) == ("apart", 2)
    assert (refused["a"], refused["what"]) == ("uid:u-2", "refused")


def test_two_persons_whom_a_third_id_ties_are_told_apart_with_what_was_held_of_it(
    played: Callable[[list[Frame]], Siyu],
) -> None:
    apart, *held = played(till().frames)("explain", "member_card:c1", "member_card:c2")
    assert (apart["what"], len(set(apart["one_ids"]))) == ("apart", 2)
    pairs = [{one["a"], one["b"]} for one in held if one["what"] == "held"]
    assert pairs == [{f"member_card:c{number}", "phone:+86139****0009"} for number in (1, 2)]


def test_a_value_that_several_used_is_explained_to_each_of_them(played: Callable[[list[Frame]], Siyu]) -> None:
    journal = Journal()
    for number, ids in enumerate([(UID, TABLET), (OTHER, TABLET), (TABLET,)]):
        journal.add(Ev(BASE + number * 60_000, ids=ids, id=f"e{number}"))
    siyu = played(journal.frames)
    (owner,) = siyu("explain", "uid:u-1", "device_id:d-1")
    assert owner["event_id"] == "e0"
    for words in (("uid:u-2", "device_id:d-1"), ("device_id:d-1", "uid:u-2")):
        apart, part, step = siyu("explain", *words)
        assert (apart["what"], part["what"], part["id"]) == ("apart", "part", "device_id:d-1")
        assert (step["a"], step["b"], step["event_id"]) == ("uid:u-2", "device_id:d-1", "e1")


def test_two_who_never_met_are_told_so_in_words(
    played: Callable[[list[Frame]], Siyu], capsys: pytest.CaptureFixture[str]
) -> None:
    played(Journal().add(Ev(BASE, ids=(UID,))).add(Ev(BASE + 1, ids=(OTHER,))).frames)
    assert main(["identity", "explain", "uid:u-1", "uid:u-2"]) == 0
    assert "no pair of their ids, nor of both with a third, was refused, held or cut" in capsys.readouterr().out


def test_a_link_that_was_cut_is_evidence_no_more(played: Callable[[list[Frame]], Siyu]) -> None:
    journal = Journal()
    journal.add(Ev(BASE, ids=(UNION, PHONE), id="e1")).add(Ev(BASE + 1, ids=(UID, PHONE), id="e2"))
    journal.add(Ev(BASE + 2, ids=(UID, UNION), id="e3"))
    journal.lane((*journal.partitions, unlinked(BASE + 3).on), [unlinked(BASE + 3)])
    siyu = played(journal.frames)
    assert [one["event_id"] for one in siyu("explain", "unionid:n-1", "phone:13912340001")] == ["e3", "e2"]
    (cut,) = [one for one in siyu("show", "uid:u-1") if one["what"] == "unlinked"]
    assert {cut["a"], cut["b"]} == {"unionid:n-1", "phone:+86139****0001"}


def test_a_person_is_drawn_with_every_id_and_no_phone_in_full(
    played: Callable[[list[Frame]], Siyu], tmp_path: Path
) -> None:
    told = played(story())("show", "uid:u-1", "--svg", str(tmp_path / "person.svg"))
    drawing = (tmp_path / "person.svg").read_text()
    ElementTree.fromstring(drawing)
    assert all(one["id"] in drawing for one in told if one["what"] == "id")
    assert drawing.count('<path class="refused"') == 1
    assert "13912340001" not in drawing


def test_an_id_that_nobody_has_is_one_sentence(
    played: Callable[[list[Frame]], Siyu], capsys: pytest.CaptureFixture[str]
) -> None:
    played(story())
    for words in (["show", "uid:nobody"], ["show", "0" * 32], ["explain", "uid:u-1", "uid:nobody"]):
        assert main(["identity", *words]) == 1
        assert capsys.readouterr().err.count("\n") == 1


SHOPS = """
policy: shops
version: 1
blocked: [{kind: phone, values: ["+8613912340045"]}]
hashed_phones: [{scope: tmall, algorithm: sha256, salt: s}, {scope: jd, algorithm: sha1, salt: j}]
"""
NUMBER: Identity = {"kind": "phone", "scope": None, "value": "+8613912340044"}
TMALL = ("phone", "tmall", sha256(b"s+8613912340044").hexdigest())
JD = ("phone", "jd", sha1(b"j+8613912340044", usedforsecurity=False).hexdigest())


@pytest.fixture(params=DATABASES)
def naming(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Naming]]:
    """What looks ids up after events with these."""
    with migrated_database(request, tmp_path) as database:

        def after(*seen: tuple[tuple[str, str, str], ...]) -> Naming:
            journal = Journal()
            for number, ids in enumerate(seen):
                journal.add(Ev(BASE + number, ids=ids))
            _, outputs = fold(journal.frames)
            BlockWriter(database, 0).write([output.resolved for output in outputs])
            return Naming(database.query, "t1", SALT, lambda: compile_policy(SHOPS, DEFAULT))

        yield after


def test_a_phone_that_nobody_showed_in_plain_names_whom_its_hash_does(naming: Callable[..., Naming]) -> None:
    known = naming((UID, TMALL), (OTHER,))
    uid: Identity = {"kind": "uid", "scope": None, "value": "u-1"}
    node, one_id = known.found(NUMBER)
    assert one_id == known.found(uid)[1]
    assert node == known.found({"kind": TMALL[0], "scope": TMALL[1], "value": TMALL[2]})[0]


def test_a_plain_phone_goes_before_its_hashes(naming: Callable[..., Naming]) -> None:
    plain = "phone", "", NUMBER["value"]
    known = naming((UID, TMALL), (OTHER, plain))
    assert known.found(NUMBER)[1] == known.found({"kind": "uid", "scope": None, "value": "u-2"})[1]


def test_a_phone_whose_hashes_name_two_persons_is_one_sentence_that_says_how_to_name_them(
    naming: Callable[..., Naming],
) -> None:
    known = naming((UID, TMALL), (OTHER, JD))
    with pytest.raises(Failure, match=f"name phone@tmall:{TMALL[2]} or phone@jd:{JD[2]}"):
        known.found(NUMBER)


def test_a_phone_that_nobody_showed_at_all_is_nobodys(naming: Callable[..., Naming]) -> None:
    with pytest.raises(Failure, match=r"nobody of t1 is known by phone \+86139\*\*\*\*0044"):
        naming((UID,)).found(NUMBER)


def test_a_phone_that_the_policy_blocks_is_told_so(naming: Callable[..., Naming]) -> None:
    blocked: Identity = {"kind": "phone", "scope": None, "value": "+8613912340045"}
    with pytest.raises(Failure, match=r"names nobody: policy shops@1 of t1 blocks it"):
        naming((UID,)).found(blocked)
