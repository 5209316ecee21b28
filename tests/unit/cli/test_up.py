"""What `siyu up` tells the next shell to set."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.cli.up import _tell
from streams.settings import Settings


def test_another_shell_is_told_the_broker_the_brands_the_folder_and_that_a_salt_is_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _tell(Settings(tenants=("acme", "lumi"), data=tmp_path, salt=SecretStr("s3cret")), [], [])
    told = capsys.readouterr().out
    assert "SIYU_TENANTS=acme,lumi" in told
    assert f"export SIYU_DATA={tmp_path}\n" in told
    assert "SIYU_SALT as here" in told
    assert "s3cret" not in told
