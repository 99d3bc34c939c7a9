"""The credentials for Drive: each source, and a clear one-line error for each that is unusable."""

from __future__ import annotations

import builtins
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import ConfigurationError, ExitCode
from rag_pipeline.sources.google_drive.auth.credentials import SCOPE, DriveCredentials, read_credentials
from rag_pipeline.sources.google_drive.auth.token_file import TOKEN_NAME, Grant, load_grant, save_grant
from rag_pipeline.sources.google_drive.errors import CredentialsError
from tests.drive import DriveServer
from tests.sources.google_drive.support import write_json

INLINE, CLIENT, KEY_FILE = (
    "GOOGLE_DRIVE_CREDENTIALS_JSON",
    "GOOGLE_DRIVE_OAUTH_CLIENT",
    "GOOGLE_APPLICATION_CREDENTIALS",
)


def root_of(access: DriveCredentials, server: DriveServer) -> int:
    """Request the root folder, and return the status code."""
    with access.open_session(server.url) as session:
        return session.get(f"{server.url}/drive/v3/files/root", params={"fields": "id"}, timeout=30).status_code


def signed_in(server: DriveServer, tmp_path: Path) -> dict[str, str]:
    """Save a person's sign-in in the folder; return the environment that uses it."""
    user = server.authorized_user()
    save_grant(tmp_path / TOKEN_NAME, Grant(str(user["client_id"]), str(user["refresh_token"])))
    return {CLIENT: str(write_json(tmp_path / "client.json", server.client_secrets()))}


def refused(env: dict[str, str], state_dir: Path, code: ExitCode = ExitCode.USAGE) -> str:
    with pytest.raises(CredentialsError) as raised:
        read_credentials(env, state_dir)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code is code
    return str(raised.value)


def test_a_service_account_with_an_inline_key(tmp_path: Path) -> None:
    with DriveServer() as server:
        access = read_credentials({INLINE: json.dumps(server.service_account())}, tmp_path)
        assert access.who == server.service_account()["client_email"]
        assert root_of(access, server) == 200


def test_a_service_account_with_a_key_file(tmp_path: Path) -> None:
    with DriveServer() as server:
        path = write_json(tmp_path / "key.json", server.service_account())
        assert root_of(read_credentials({KEY_FILE: str(path)}, tmp_path), server) == 200


def test_a_key_that_everyone_can_read_is_used_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with DriveServer() as server:
        path = write_json(tmp_path / "key.json", server.service_account())
        for mode, times in ((0o600, 0), (0o440, 0), (0o644, 1)):
            path.chmod(mode)
            assert root_of(read_credentials({KEY_FILE: str(path)}, tmp_path), server) == 200
            assert len(caplog.messages) == times
        [line] = caplog.messages
        assert line == f"{KEY_FILE}={path} can be read or written by everyone (mode 0644): run chmod 600 on it"


def test_accounts_of_different_grants_differ_and_reveal_no_token(tmp_path: Path) -> None:
    with DriveServer() as server:
        env = signed_in(server, tmp_path)
        first, again = read_credentials(env, tmp_path), read_credentials(env, tmp_path)
        client_id = load_grant(tmp_path / TOKEN_NAME).client_id
        save_grant(tmp_path / TOKEN_NAME, Grant(client_id, "another"))
        other = read_credentials(env, tmp_path)
        assert first.account == again.account != other.account
        assert (first.who, other.who) == ("a person", "a person")
        account = read_credentials({INLINE: json.dumps(server.service_account())}, tmp_path)
        assert account.account == account.who


def test_a_person_with_a_saved_sign_in(tmp_path: Path) -> None:
    with DriveServer() as server:
        assert root_of(read_credentials(signed_in(server, tmp_path), tmp_path), server) == 200


def test_variables_for_drive_take_precedence_over_the_general_one(tmp_path: Path) -> None:
    with DriveServer() as server:
        env = {INLINE: json.dumps(server.service_account()), KEY_FILE: "/nonexistent"}
        assert root_of(read_credentials(env, tmp_path), server) == 200
        env = {**signed_in(server, tmp_path), KEY_FILE: "/nonexistent"}
        assert root_of(read_credentials(env, tmp_path), server) == 200


def test_only_the_read_scope_is_requested() -> None:
    assert SCOPE == "https://www.googleapis.com/auth/drive.readonly"


def test_the_error_without_credentials_names_all_variables(tmp_path: Path) -> None:
    line = refused({}, tmp_path)
    assert all(name in line for name in (INLINE, CLIENT, KEY_FILE))


def test_two_variables_for_drive_are_an_error(tmp_path: Path) -> None:
    assert refused({INLINE: "{}", CLIENT: "x"}, tmp_path) == f"{INLINE} and {CLIENT} are both set: expected one of them"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"installed": {}}, f"is an OAuth client, for a person's sign-in: set {CLIENT} to its file"),
        ({"type": "authorized_user"}, "is a person's login with gcloud"),
        ({"type": "external_account"}, "expected the JSON key of a service account"),
        ({"type": "service_account", "client_email": "a"}, "private_key and token_uri is missing"),
        (
            {"type": "service_account", "client_email": "a", "private_key": "hush", "token_uri": "https://a.example/"},
            "expected a token_uri of Google's",
        ),
        (
            {
                "type": "service_account",
                "client_email": "a",
                "private_key": "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n",
                "token_uri": "https://oauth2.googleapis.com/token",
            },
            "its private_key can't be read: download a new key",
        ),
    ],
)
def test_an_invalid_key_error_names_variable_and_path_and_never_quotes_the_key(
    tmp_path: Path, data: dict[str, Any], says: str
) -> None:
    path = write_json(tmp_path / "key.json", data)
    in_file, inline = refused({KEY_FILE: str(path)}, tmp_path), refused({INLINE: json.dumps(data)}, tmp_path)
    assert in_file.startswith(f"{KEY_FILE}={path}")
    assert inline.startswith(INLINE)
    for line in (in_file, inline):
        assert says in line
        assert "hush" not in line


def test_a_sign_in_of_another_client_is_rejected(tmp_path: Path) -> None:
    with DriveServer() as server:
        env = signed_in(server, tmp_path)
        save_grant(tmp_path / TOKEN_NAME, Grant("another", "token"))
        assert "belongs to another OAuth client" in refused(env, tmp_path, ExitCode.ACCESS)


def test_the_error_for_a_missing_sign_in_names_the_command(tmp_path: Path) -> None:
    with DriveServer() as server:
        env = signed_in(server, tmp_path)
        (tmp_path / TOKEN_NAME).unlink()
        assert refused(env, tmp_path, ExitCode.ACCESS).endswith("run rag-pipeline google-drive --sign-in")


def test_a_revoked_grant_error_says_to_sign_in_again(tmp_path: Path) -> None:
    with DriveServer() as server:
        access = read_credentials(signed_in(server, tmp_path), tmp_path)
        server.grants.revoke()
        with pytest.raises(CredentialsError) as raised:
            root_of(access, server)
        assert raised.value.exit_code is ExitCode.ACCESS
        assert str(raised.value) == (
            "the sign-in to Google Drive was revoked or has expired: run rag-pipeline google-drive --sign-in"
        )


def test_an_unknown_client_is_named(tmp_path: Path) -> None:
    with DriveServer() as server:
        env = signed_in(server, tmp_path)
        secrets = server.client_secrets()
        secrets["installed"]["client_secret"] = "hush hush"  # type: ignore[index]
        write_json(tmp_path / "client.json", secrets)
        with pytest.raises(CredentialsError, match=r"client.json \(invalid_client\): check it") as raised:
            root_of(read_credentials(env, tmp_path), server)
        assert "hush" not in str(raised.value)


def test_a_deleted_key_error_says_what_to_check(tmp_path: Path) -> None:
    with DriveServer() as server:
        access = read_credentials({INLINE: json.dumps(server.service_account())}, tmp_path)
        server.grants.revoke()
        with pytest.raises(
            CredentialsError, match=r"\(invalid_grant\): check that the key was not deleted, and that this"
        ):
            root_of(access, server)


def test_a_new_refresh_token_replaces_the_saved_one(tmp_path: Path) -> None:
    with DriveServer() as server:
        access = read_credentials(signed_in(server, tmp_path), tmp_path)
        path = tmp_path / TOKEN_NAME
        first = load_grant(path)
        session = access.open_session(server.url)
        assert load_grant(path) == first
        session.credentials._refresh_token = server.authorized_user()["refresh_token"]
        session.get(f"{server.url}/drive/v3/files/root", params={"fields": "id"}, timeout=30)
        assert load_grant(path).refresh_token == session.credentials.refresh_token != first.refresh_token


def test_no_secret_is_logged_at_any_level(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with DriveServer() as server, caplog.at_level(logging.DEBUG):
        for name in ("google", "google.auth", "urllib3", "requests"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        try:
            key = server.service_account()
            account = read_credentials({INLINE: json.dumps(key)}, tmp_path).open_session(server.url)
            person = read_credentials(signed_in(server, tmp_path), tmp_path).open_session(server.url)
            for session in (account, person):
                session.get(f"{server.url}/drive/v3/files/root", params={"fields": "id"}, timeout=30)
        finally:
            for name in ("google", "google.auth", "urllib3", "requests"):
                logging.getLogger(name).setLevel(logging.NOTSET)
        logged = "\n".join(str(vars(record)) for record in caplog.records)
        assert "/drive/v3/files/root" in logged  # there were log records
        secrets = [account.credentials.token, person.credentials.token, person.credentials.refresh_token]
        secrets += [str(key["private_key"])[40:80], "assertion"]
        for secret in secrets:
            assert secret not in logged
            assert secret not in repr(account) + repr(person) + repr(vars(person.credentials).keys())


def test_the_error_without_google_auth_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("google"):
            raise ModuleNotFoundError("No module named 'google'", name="google")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(
        ConfigurationError,
        match=r"^google-auth is not installed, .* pip install 'rag-pipeline-status\[ingest,google-drive\]'$",
    ):
        read_credentials({INLINE: "{}"}, tmp_path)
