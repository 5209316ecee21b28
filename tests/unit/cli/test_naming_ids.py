"""What `siyu identity` says to ids and orders that can't be meant, before anything is asked or published."""

from __future__ import annotations

import pytest

from streams.cli.main import main


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIYU_TENANTS", "acme")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("uid", "uid is no id; one is written kind:value"),
        ("", "nothing is no id; one is written kind:value"),
        ("fax:1", "fax is no kind of id"),
        ("uid:", "nothing stands after the colon"),
        ("openid:o-1", "it needs its issuer, as openid@ISSUER:value"),
        ("phone:138****8000", "it is no phone number in full"),
        ("email:li", "it is no e-mail address in full"),
        ("uid:" + "x" * 257, "it has more than 256 characters"),
    ],
)
def test_an_id_that_is_none_is_told_in_words(text: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identity", "unlink", "uid:U1", text, "--why", "x"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["explain", "uid:U1", "uid:U1"],
        ["unlink", "phone:13912340003", "phone:+86 139 1234 0003", "--why", "x"],
        ["link", "uid:U1", "uid: U1", "--why", "x"],
        ["release", "uid:U1", "uid:U1", "--why", "x"],
        ["reject", "0" * 32, "0" * 32, "--why", "x"],
    ],
    ids=lambda words: words[0],
)
def test_two_ids_that_are_one_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identity", *words]) == 2
    told = capsys.readouterr().err
    assert "is named twice: name two ids" in told
    assert "13912340003" not in told


@pytest.mark.parametrize("action", ["link", "unlink", "release", "reject"])
def test_an_order_without_a_reason_is_refused(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identity", action, "uid:U1", "uid:U2", "--why", " "]) == 2
    assert "--why is needed" in capsys.readouterr().err
