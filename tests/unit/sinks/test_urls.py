"""One line of configuration: what it may say, and what it must not."""

from __future__ import annotations

from urllib.parse import urlparse

import pytest

from sinks.native import Address, NativeSink
from sinks.urls import _address, open_sink


def address(url: str, password: str = "") -> Address:
    return _address(urlparse(url), password)


def test_a_server_has_its_usual_port_and_user() -> None:
    assert address("clickhouse://db") == Address("db", 9000, "default")
    assert address("clickhouse://siyu@db/?secure=1&ca=/etc/ca.pem") == Address(
        "db", 9440, "siyu", secure=True, ca="/etc/ca.pem"
    )
    assert address("clickhouse://db:9001").port == 9001


def test_opening_a_server_speaks_to_nobody() -> None:
    sink = open_sink("clickhouse://siyu@db", password="hidden")
    assert isinstance(sink, NativeSink)
    sink.close()


def test_a_password_is_in_no_url_and_in_no_repr() -> None:
    with pytest.raises(ValueError, match="must not hold a password") as refused:
        open_sink("clickhouse://siyu:hidden@db")
    assert "hidden" not in str(refused.value)
    assert "hidden" not in repr(address("clickhouse://siyu@db", "hidden"))


@pytest.mark.parametrize("url", ["", "chdb://", "chdb:///", "postgres://db", "clickhouse://", "clickhouse:///db"])
def test_what_is_not_a_sink_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a sink is"):
        open_sink(url)


def test_a_misspelt_option_is_refused() -> None:
    with pytest.raises(ValueError, match=r"secur$"):
        open_sink("clickhouse://db/?secur=1")
