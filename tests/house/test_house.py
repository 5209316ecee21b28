"""The form of the house: sizes, heads of modules, links, paths, the picture, what is deployed."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
import yaml

from streams.settings import Settings, read_settings
from tests.house.pages import DOCS, README, ROOT, anchors, files, lines, links, name_of, pages, prose

LONGEST_MODULE = 400
LONGEST_LINE = 120
ROOMS = ("streams", "schemas", "sinks")
DEPLOY = ROOT / "deploy"
# Folders of a machine that someone worked on; written apart, so that this file does not hold them.
MACHINE = re.compile(r"(?<![\w./}-])/(?:" + "|".join(("work", "root", "home", "Users")) + r")(?![\w-])")


def _modules() -> list[Any]:
    found = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    return [pytest.param(path, id=name_of(path)) for path in found if path.name != "__init__.py"]


@pytest.mark.parametrize("path", _modules())
def test_a_module_says_what_comes_in_what_goes_out_and_what_it_never_does(path: Path) -> None:
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert [word for word in ("In:", "Out:", "Never:") if word not in told] == []


def test_no_module_is_too_long() -> None:
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files(".py")}
    assert {name: size for name, size in sizes.items() if size > LONGEST_MODULE} == {}


def test_nothing_names_a_path_of_somebodys_machine() -> None:
    found = [
        f"{name_of(path)}:{number}"
        for path in files()
        for number, line in enumerate(_text(path).splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_lines_of_prose_are_not_too_long() -> None:
    ours = [page for page in pages() if not re.match(r"000[123]", page.name)]
    found = [
        f"{page.name}:{number}"
        for page in ours
        for number, _, line in prose(page)
        if len(line) > LONGEST_LINE and not line.startswith("|")
    ]
    assert found == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for number, target in links(page):
        if re.match(r"https?://", target):
            continue
        place, _, anchor = unquote(target).partition("#")
        there = (page.parent / place).resolve() if place else page
        assert there.exists(), f"{page.name}:{number}: {target}"
        assert not anchor or anchor in anchors(there), f"{page.name}:{number}: {target}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = {README}, [README]
    while waiting:
        page = waiting.pop()
        targets = {(page.parent / unquote(target).partition("#")[0]).resolve() for _, target in links(page)}
        found = {one for target in targets for one in ([target] if target.is_file() else target.glob("*.md"))}
        waiting += (new := {one for one in found if one.suffix == ".md"} - reached)
        reached |= new
    assert set(pages()) <= reached


@pytest.mark.parametrize("picture", sorted(DOCS.rglob("*.svg")), ids=lambda path: path.name)
def test_pictures_are_xml_with_words_for_those_who_do_not_see_them(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    assert root.tag.endswith("svg")
    tags = {element.tag.rpartition("}")[2] for element in root}
    assert {"title", "desc"} <= tags
    assert "script" not in {element.tag.rpartition("}")[2] for element in root.iter()}


def test_decisions_have_one_form_and_rising_numbers() -> None:
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    for page in decisions:
        assert lines(page)[0].startswith(f"# {page.name[:4]}: ")
        headings = [line for line in lines(page) if line.startswith("## ")]
        assert [headings[0], *headings[-2:]] == ["## Context", "## Decision", "## Consequences"], page.name
        assert "## Measured" in headings, page.name


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    released = [line for line in lines(ROOT / "CHANGELOG.md") if line.startswith("## ")]
    assert released[0].startswith(f"## {version}")


def test_the_licence_is_the_one_that_the_package_names() -> None:
    assert "Apache License\n" in (ROOT / "LICENSE").read_text()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"


def test_the_example_configuration_can_be_read_and_holds_no_secret() -> None:
    settings = read_settings(DEPLOY / "siyu.toml", {})
    assert settings.tenants
    secrets = (settings.salt, settings.kafka.password, settings.registry.password, settings.sink.password)
    assert not any(secret.get_secret_value() for secret in secrets)


def _compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return parsed


def test_compose_has_a_service_for_each_role_and_opens_no_port_to_others() -> None:
    services = _compose()["services"]
    roles = {service["command"][1] for service in services.values() if service.get("command", [""])[0] == "worker"}
    assert roles == {"ingest", "engine", "sink"}
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert "healthcheck" in service, name


def test_compose_sets_what_settings_know() -> None:
    for name, service in _compose()["services"].items():
        given = {key: _filled(value) for key, value in service["environment"].items() if key.startswith("SIYU_")}
        assert {key.removeprefix("SIYU_").partition("__")[0].lower() for key in given} <= set(Settings.model_fields), (
            name
        )
        assert not given or read_settings(None, given).kafka.bootstrap == "kafka:9092", name


def _filled(value: Any) -> str:
    """A value with each `${NAME:-default}` as its default, and each `${NAME:?told}` as what it tells."""
    return re.sub(r"\$\{\w+:[-?]([^}]*)\}", r"\1", str(value))


def test_what_compose_runs_by_itself_compiles() -> None:
    setup = _compose()["services"]["setup"]
    assert setup["entrypoint"] == ["python", "-c"]
    compile(setup["command"][0], "compose.yaml", "exec")


def test_the_image_is_pinned_and_not_run_as_root() -> None:
    steps = [line.split(maxsplit=1) for line in lines(DEPLOY / "Dockerfile") if re.match(r"[A-Z]+ ", line)]
    told = dict(step for step in steps if step[0] in ("FROM", "USER", "ENTRYPOINT"))
    assert told == {"FROM": "python:3.11-slim", "USER": "siyu", "ENTRYPOINT": '["siyu"]'}
    copied = [step[1].split()[:-1] for step in steps if step[0] == "COPY"]
    assert all((ROOT / name).exists() for names in copied for name in names)
