"""Google's JSON files: valid ones are read, and each invalid one is a one-line error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.sources.google_drive.auth.credential_files import (
    CLIENT,
    KEY_FILE,
    OAuthClient,
    parse_json,
    read_client,
    read_json_file,
    source_of,
)
from rag_pipeline.sources.google_drive.errors import CredentialsSettingError
from tests.sources.google_drive.support import write_json

NOBODY = 65534

INSTALLED = {
    "client_id": "id-1",
    "client_secret": "hush hush",
    "auth_uri": "https://accounts.google.com/o/oauth2/auth",
    "token_uri": "https://oauth2.googleapis.com/token",
    "redirect_uris": ["http://localhost"],
}


def client_of(tmp_path: Path, data: object) -> OAuthClient:
    return read_client({CLIENT: str(write_json(tmp_path / "client.json", data))})


def refused(tmp_path: Path, data: object) -> str:
    with pytest.raises(CredentialsSettingError) as raised:
        client_of(tmp_path, data)
    line = str(raised.value)
    assert line.startswith(f"{CLIENT}={tmp_path}/client.json")
    assert "\n" not in line
    assert "hush" not in line
    return line


def test_the_client_of_a_desktop_app_is_read(tmp_path: Path) -> None:
    client = client_of(tmp_path, {"installed": INSTALLED})
    assert (client.client_id, client.client_secret) == ("id-1", "hush hush")
    assert client.token_uri == "https://oauth2.googleapis.com/token"
    assert "hush" not in repr(client)


def test_a_service_account_instead_of_a_client_names_its_own_variable(tmp_path: Path) -> None:
    line = refused(tmp_path, {"type": "service_account", "private_key": "hush"})
    assert line.endswith(f"is the key of a service account: set {KEY_FILE} instead")


def test_a_web_client_is_rejected(tmp_path: Path) -> None:
    assert "is an OAuth client of the type Web application" in refused(tmp_path, {"web": INSTALLED})


@pytest.mark.parametrize(
    "data", [{}, {"installed": []}, {"installed": {}}, {"installed": {**INSTALLED, "client_id": 1}}]
)
def test_an_invalid_client_error_says_what_was_expected(tmp_path: Path, data: object) -> None:
    assert "expected the JSON of an OAuth client of the type Desktop app" in refused(tmp_path, data)


@pytest.mark.parametrize("key", ["auth_uri", "token_uri"])
def test_a_client_that_would_send_its_secret_elsewhere_is_rejected(tmp_path: Path, key: str) -> None:
    line = refused(tmp_path, {"installed": {**INSTALLED, key: "https://oauth2.example.com/token"}})
    assert line.endswith("expected an auth_uri and a token_uri of Google's")


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(CredentialsSettingError, match=f"^{CLIENT} is not set: expected the path of"):
        read_client({})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing.json", "No such file or directory"),
        (".", "Not a regular file"),
        ("pipe", "Not a regular file"),
        ("~nobody-of-that-name/key.json", "no such path"),
    ],
)
def test_an_unreadable_file_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")  # it has no writer
    with pytest.raises(CredentialsSettingError, match=rf"^KEY=x: expected the path of a key \({why}\)$"):
        read_json_file(name, "KEY=x", "a key")


def test_a_file_without_read_permission_is_named_with_the_reason(tmp_path: Path) -> None:
    path = write_json(tmp_path / "key.json", {})
    path.chmod(0)
    is_root = os.geteuid() == 0  # root may read everything
    try:
        if is_root:
            os.seteuid(NOBODY)
        with pytest.raises(CredentialsSettingError, match=r"^KEY=x: expected the path of a key \(Permission denied\)$"):
            read_json_file(str(path), "KEY=x", "a key")
    finally:
        if is_root:
            os.seteuid(0)


def test_the_json_itself_instead_of_its_path_is_not_quoted() -> None:
    for value in (json.dumps({"private_key": "hush"}), '\n {"a": 1}', "a" * 2000, "eyJ\nabc"):
        with pytest.raises(CredentialsSettingError) as raised:
            source_of(KEY_FILE, value)
        assert str(raised.value) == (
            f"{KEY_FILE}: expected the path of a file, not its content: that goes into GOOGLE_DRIVE_CREDENTIALS_JSON"
        )
    assert source_of(KEY_FILE, "/keys/a.json") == f"{KEY_FILE}=/keys/a.json"


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")) | st.just("[" * 100_000))
def test_invalid_json_is_rejected_without_quoting_it(text: str) -> None:
    message = None
    try:
        data: Any = parse_json(text, "KEY=x", "a key")
    except CredentialsSettingError as error:
        message = str(error)
    assert message == "KEY=x: expected a key, but it is not a JSON object" if message else isinstance(data, dict)


def test_a_binary_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(b"\x89PNG\xff")
    with pytest.raises(CredentialsSettingError, match=r"^KEY=x: expected a key, not other data$"):
        read_json_file(str(path), "KEY=x", "a key")
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json_file(str(path), "KEY=x", "a key") == {"a": 1}
