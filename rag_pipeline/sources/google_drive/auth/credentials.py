"""Credentials for Drive from the environment: a service account, or a person who has signed in.

``GOOGLE_DRIVE_CREDENTIALS_JSON`` (the JSON of a service account's key) and ``GOOGLE_DRIVE_OAUTH_CLIENT`` (the file of
an OAuth client, for a person's sign-in) are for Drive alone. So they take precedence over
``GOOGLE_APPLICATION_CREDENTIALS`` (the file of a service account's key), which all Google clients read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rag_pipeline.common.env import read_str
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.google_drive.auth.credential_files import (
    CLIENT,
    INLINE,
    KEY_FILE,
    OAuthClient,
    parse_json,
    read_client,
    read_json_file,
    source_of,
)
from rag_pipeline.sources.google_drive.auth.token_file import SIGN_IN, TOKEN_NAME, Grant, load_grant, save_grant
from rag_pipeline.sources.google_drive.errors import CredentialsError, CredentialsSettingError
from rag_pipeline.sources.google_drive.transport.hosts import may_receive_secret

if TYPE_CHECKING:
    from rag_pipeline.sources.google_drive.transport.session import DriveSession

SCOPE = "https://www.googleapis.com/auth/drive.readonly"
_KEY = "the JSON key of a service account"


class DriveCredentials:
    """Checked credentials; nothing was sent to Google yet.

    ``who`` names them for people. ``account`` identifies the account, which decides what of Drive is visible, and holds
    no secret.
    """

    def __init__(
        self,
        who: str,
        credentials: Any,
        explain: Callable[[Any], CredentialsError],
        on_refresh: Callable[[Any], None] | None = None,
        *,
        account: str | None = None,
    ) -> None:
        self.who = who
        self.account = who if account is None else account
        self._credentials = credentials
        self._explain = explain
        self._on_refresh = on_refresh

    def open_session(self, base_url: str) -> DriveSession:
        """Return a session for Drive's API at that URL."""
        from rag_pipeline.sources.google_drive.transport.session import DriveSession

        return DriveSession(self._credentials, base_url=base_url, explain=self._explain, on_refresh=self._on_refresh)


def read_credentials(
    env: Mapping[str, str], state_dir: Path, names: Mapping[str, str] = MappingProxyType({})
) -> DriveCredentials:
    """Return the credentials that the environment names.

    ``names`` gives other names for its variables in error messages. Raises
    :class:`~rag_pipeline.sources.google_drive.errors.CredentialsSettingError` in one line that names the variable and
    the file but not their content, CredentialsError for a missing or unusable sign-in of a person, and
    ConfigurationError if google-auth is not installed.
    """
    inline, client, key_file = read_str(env, INLINE), read_str(env, CLIENT), read_str(env, KEY_FILE)
    if inline is not None and client is not None:
        raise CredentialsSettingError(f"{INLINE} and {CLIENT} are both set: expected one of them")
    check_installed()
    if inline is not None:
        source = names.get(INLINE, INLINE)
        return _service_account(parse_json(inline, source, _KEY), source)
    if client is not None:
        return _person(read_client(env), state_dir / TOKEN_NAME)
    if key_file is not None:
        source = source_of(names.get(KEY_FILE, KEY_FILE), key_file)
        return _service_account(read_json_file(key_file, source, _KEY, is_key=True), source)
    raise CredentialsSettingError(
        f"no credentials for Google Drive: set {KEY_FILE} or {INLINE} (a service account), or {CLIENT} (a person)"
    )


def check_installed() -> None:
    """Raise ConfigurationError if google-auth is missing."""
    try:
        import google.auth.transport.requests  # noqa: F401
    except ModuleNotFoundError as error:
        # Its own module is in the namespace package google, which other distributions share.
        name = "google-auth" if (error.name or "").partition(".")[0] == "google" else error.name
        raise ConfigurationError(
            f"{name} is not installed, and Google Drive needs it: "
            "pip install 'rag-pipeline-status[ingest,google-drive]'"
        ) from None


def _service_account(data: Mapping[str, Any], source: str) -> DriveCredentials:
    from google.oauth2 import service_account

    kind = data.get("type")
    if "installed" in data or "web" in data:
        raise CredentialsSettingError(f"{source} is an OAuth client, for a person's sign-in: set {CLIENT} to its file")
    if kind == "authorized_user":
        raise CredentialsSettingError(
            f"{source} is a person's login with gcloud: expected {_KEY}, or {CLIENT} for a person"
        )
    if kind != "service_account":
        raise CredentialsSettingError(f"{source}: expected {_KEY}")
    missing = [key for key in ("client_email", "private_key", "token_uri") if not isinstance(data.get(key), str)]
    if missing:
        raise CredentialsSettingError(f"{source}: expected {_KEY}, but {' and '.join(missing)} is missing")
    if not may_receive_secret(data["token_uri"]):
        raise CredentialsSettingError(f"{source}: expected a token_uri of Google's")
    try:
        credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            data, scopes=[SCOPE], additional_claims=_audience(data["token_uri"])
        )
    except Exception:  # noqa: BLE001 - the key parsers raise many types, and their messages may quote the key
        raise CredentialsSettingError(f"{source}: its private_key can't be read: download a new key") from None
    who = str(data["client_email"])

    def explain(error: Exception) -> CredentialsError:
        return CredentialsError(
            f"Google refuses the key of {who} from {source} ({_error_code(error)}): "
            "check that the key was not deleted, and that this machine's clock is right"
        )

    return DriveCredentials(who, credentials, explain)


def _audience(token_uri: str) -> dict[str, str]:
    """Return the claim that keeps a token request that was signed for a local server from being valid at Google."""
    return {} if token_uri.startswith("https://") else {"aud": token_uri}


def _person(client: OAuthClient, path: Path) -> DriveCredentials:
    from google.oauth2.credentials import Credentials

    grant = load_grant(path)
    if grant.client_id != client.client_id:
        raise CredentialsError(f"{path} belongs to another OAuth client than {client.source}: run {SIGN_IN}")
    credentials = Credentials(  # type: ignore[no-untyped-call]
        token=None,
        refresh_token=grant.refresh_token,
        token_uri=client.token_uri,
        client_id=client.client_id,
        client_secret=client.client_secret,
        scopes=[SCOPE],
    )
    saved_token = grant.refresh_token

    def save_new_token(current: Any) -> None:
        # Google may issue a new refresh token; the old one then works for a limited time.
        nonlocal saved_token
        if current.refresh_token != saved_token:
            save_grant(path, Grant(client.client_id, current.refresh_token))
            saved_token = current.refresh_token

    def explain(error: Exception) -> CredentialsError:
        code = _error_code(error)
        if code == "invalid_grant":
            return CredentialsError(f"the sign-in to Google Drive was revoked or has expired: run {SIGN_IN}")
        return CredentialsError(
            f"Google refuses the OAuth client of {client.source} ({code}): check it, and run {SIGN_IN}"
        )

    return DriveCredentials("a person", credentials, explain, save_new_token, account=f"a person ({grant.token_hash})")


def _error_code(error: Exception) -> str:
    """Return the error code alone, such as ``invalid_grant``: the rest of the answer may repeat secrets."""
    data = error.args[1] if len(error.args) > 1 else None
    code = data.get("error") if isinstance(data, dict) else None
    return code if isinstance(code, str) and code.replace("_", "").isalnum() else "no reason given"
