"""How settings are read: which wins, what is secret, what is said about a wrong one."""

from pathlib import Path

import pytest

from streams.settings import InvalidSettings, read_settings, to_environment

FILE = """
tenants = ["acme"]
[kafka]
bootstrap = "10.0.0.5:9092"
shards = 8
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "siyu.toml"
    path.write_text(FILE)
    return path


def test_without_a_file_and_variables_there_are_defaults() -> None:
    settings = read_settings(None, {})
    assert settings.kafka.bootstrap == "127.0.0.1:9092"
    assert settings.metrics_host == "127.0.0.1"


def test_a_variable_wins_over_the_file_and_leaves_its_neighbours(file: Path) -> None:
    settings = read_settings(file, {"SIYU_KAFKA__BOOTSTRAP": "broker:1"})
    assert (settings.kafka.bootstrap, settings.kafka.shards) == ("broker:1", 8)


def test_a_list_is_given_with_commas() -> None:
    assert read_settings(None, {"SIYU_TENANTS": "acme, lotus"}).tenants == ("acme", "lotus")


def test_a_secret_comes_from_a_file_that_a_variable_names(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    settings = read_settings(None, {"SIYU_KAFKA__PASSWORD_FILE": str(secret), "SIYU_SALT_FILE": str(secret)})
    assert settings.kafka.password.get_secret_value() == "s3cret"
    assert settings.salt.get_secret_value() == "s3cret"


def test_no_secret_is_printed() -> None:
    names = ("SIYU_SALT", "SIYU_KAFKA__PASSWORD", "SIYU_SINK__PASSWORD", "SIYU_REGISTRY__PASSWORD")
    settings = read_settings(None, dict.fromkeys(names, "s3cret"))
    assert "s3cret" not in repr(settings) + str(settings)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"SIYU_KAFKA__BOOTSTRAPS": "a"}, "kafka.bootstraps"),
        ({"SIYU_KAFKA__SHARDS": "many"}, "kafka.shards"),
        ({"SIYU_KAFKA__SHARDS": "0"}, "kafka.shards"),
        ({"SIYU_TENANTS": "Acme"}, "tenants.0"),
    ],
)
def test_a_wrong_variable_is_named(variables: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidSettings, match=named.replace(".", r"\.")):
        read_settings(None, variables)


def test_an_unknown_key_of_the_file_is_named(file: Path) -> None:
    file.write_text(FILE + "bootstap = 'a'\n")
    with pytest.raises(InvalidSettings, match=r"kafka\.bootstap"):
        read_settings(file, {})


@pytest.mark.parametrize("text", ["tenants = [", None])
def test_a_file_that_is_no_toml_or_not_there_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "other.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidSettings, match=r"other\.toml"):
        read_settings(path, {})


def test_variables_that_are_not_settings_are_left_alone() -> None:
    assert read_settings(None, {"SIYU_REQUIRE_SERVERS": "1", "HOME": "/"}).tenants == ()


def test_settings_travel_to_a_child_process_by_variables(file: Path) -> None:
    settings = read_settings(file, {"SIYU_SALT": "s3cret"})
    assert read_settings(None, to_environment(settings)) == settings


@pytest.mark.parametrize("url", ["", "s3://siyu/here"])
def test_a_changelog_is_pruned_only_where_snapshots_have_a_place_that_was_named(url: str) -> None:
    named = {"SIYU_SNAPSHOTS__PRUNE": "true", "SIYU_SNAPSHOTS__URL": url}
    if url:
        assert read_settings(None, named).snapshots_url == url
    else:
        with pytest.raises(InvalidSettings, match=r"snapshots: .*prune needs snapshots, and a url"):
            read_settings(None, named)
    with pytest.raises(InvalidSettings, match="prune needs snapshots"):
        read_settings(None, {**named, "SIYU_SNAPSHOTS__ENABLED": "false"})


def test_a_place_of_snapshots_that_holds_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidSettings, match="holds a password") as caught:
        read_settings(None, {"SIYU_SNAPSHOTS__URL": "ftp://siyu:s3cret@host/there"})
    assert "s3cret" not in str(caught.value)


def test_snapshots_are_in_the_data_folder_unless_told_otherwise() -> None:
    assert read_settings(None, {"SIYU_DATA": "/there"}).snapshots_url == "/there/snapshots"
