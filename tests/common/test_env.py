from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.common.config import RunMode, Settings
from rag_pipeline.common.env import MAX_SECRET_BYTES, SECRETS, read_choice, read_float, read_str
from rag_pipeline.errors import ConfigurationError


def test_numbers_outside_the_bounds_are_errors() -> None:
    assert read_float({"X": "0.5"}, "X", 1.0, low=0, high=1) == 0.5
    assert read_float({}, "X", 1.0, low=0, high=1) == 1.0
    for text in ("nan", "inf", "-1", "two", "1e999"):
        with pytest.raises(ConfigurationError, match="X="):
            read_float({"X": text}, "X", 1.0, low=0, high=1)


def test_choices_ignore_case() -> None:
    assert read_choice({"RUN_MODE": "SINGLE"}, "RUN_MODE", RunMode.CONTINUOUS) is RunMode.SINGLE
    with pytest.raises(ConfigurationError, match="one of continuous, single"):
        read_choice({"RUN_MODE": "twice"}, "RUN_MODE", RunMode.CONTINUOUS)


@pytest.mark.parametrize("key", sorted(SECRETS))
def test_a_secret_can_be_read_from_a_file(key: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("0123456789abcdef,fedcba9876543210\n")
    assert read_str({f"{key}_FILE": str(file)}, key) == "0123456789abcdef,fedcba9876543210"
    assert read_str({f"{key}_FILE": " ", key: "x"}, key) == "x"


def test_the_error_names_a_bad_secret_file_without_its_content(tmp_path: Path) -> None:
    missing, empty, bytes_, long = (tmp_path / name for name in ("missing", "empty", "bytes", "long"))
    empty.write_text(" \n")
    bytes_.write_bytes(b"secret\xff")
    long.write_text("secret" * MAX_SECRET_BYTES)
    for file, why in (
        (missing, "No such file or directory"),
        (tmp_path, "Is a directory"),
        (empty, "a file that contains the secret, of 1 to 65,536 bytes"),
        (bytes_, "a text file in UTF-8"),
        (long, "a file that contains the secret"),
    ):
        with pytest.raises(ConfigurationError) as raised:
            Settings.from_env({"STATUS_AUTH_TOKEN_FILE": str(file)})
        assert str(raised.value).startswith(f"STATUS_AUTH_TOKEN_FILE='{file}': expected ")
        assert why in str(raised.value)
        assert "secretsecret" not in str(raised.value)
    with pytest.raises(ConfigurationError, match="STATUS_AUTH_TOKEN and STATUS_AUTH_TOKEN_FILE are both set"):
        Settings.from_env({"STATUS_AUTH_TOKEN_FILE": str(empty), "STATUS_AUTH_TOKEN": "x"})
    # Other settings are never read from a file.
    assert Settings.from_env({"STATUS_HOST_FILE": str(missing)}).host == "127.0.0.1"
