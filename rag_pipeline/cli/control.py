"""``rag-pipeline control``: sends a control action to a pipeline of a running service."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from rag_pipeline.cli.remote_service import (
    TOKEN_KEY,
    add_token_file,
    default_url,
    read_token,
    unknown_pipelines,
    with_token_advice,
)
from rag_pipeline.common.printing import say
from rag_pipeline.errors import AccessDeniedError, ConfigurationError, ExitCode, UnreachableError
from rag_pipeline.status.control import NEED_FILE, Action, ControlError

if TYPE_CHECKING:
    import requests

    from rag_pipeline.client.service_url import ServiceUrl

TIMEOUT_SECONDS = 10.0
DESCRIPTION = (
    "Send an action to a pipeline of a running service: pause, resume, check the source now, retry a failed file, "
    "postpone a file until all others are done, or confirm deletions that are held. "
    "The service must run with STATUS_CONTROL=1. "
    f"A token comes from {TOKEN_KEY} or --token-file."
)
EPILOG = (
    "URL is the service, starting with http:// or https:// (default: this machine, port STATUS_PORT or 8003). PIPELINE "
    "may be omitted if there is only one. FILE is the file's id, as in /files. COUNT is the number of held deletions: "
    "if more are held, none is confirmed. cancel is another name for postpone. "
    "Exit codes: 0 the pipeline has accepted the action; 2 there is no such pipeline or action; 9 the service does not "
    "allow it; 10 there is no service; 11 the pipeline can't do it, or not now."
)
WORDS = "[URL] [PIPELINE] pause|resume|check|retry|postpone|confirm [FILE|COUNT]"
_COUNT = re.compile("[1-9][0-9]{0,8}")


class ControlCommand(NamedTuple):
    """The parsed command line; without ``url`` the service of this machine, without ``pipeline_id`` its only one."""

    url: str | None
    pipeline_id: str | None
    action: Action
    file_id: str | None
    deletions: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.usage = f"rag-pipeline control [--token-file FILE] {WORDS}"
    parser.add_argument("words", nargs="+", metavar="WORD", help=WORDS)
    add_token_file(parser)


def run(args: argparse.Namespace) -> int:
    """Send the action and print one line about it."""
    command = parse_words(args.words)
    token = read_token(args.token_file)
    try:
        with _ControlClient(command.url or default_url(), token() if callable(token) else token) as client:
            pipeline_id = command.pipeline_id or client.only_pipeline()
            client.send(pipeline_id, command)
    except AccessDeniedError as error:
        raise with_token_advice(error) from None
    argument = command.file_id or command.deletions
    say(f"{pipeline_id}: asked to {command.action}" + (f" {argument}" if argument else ""))
    return ExitCode.OK


def parse_words(words: Sequence[str]) -> ControlCommand:
    """Parse the words of the command line; raises ConfigurationError.

    A word before an action is always the pipeline's id, so a pipeline named ``pause`` can be paused.
    """
    url = words[0] if "://" in words[0] else None
    rest = list(words if url is None else words[1:])
    has_pipeline = len(rest) > 1 and Action.parse(rest[1]) is not None
    pipeline_id = rest.pop(0) if has_pipeline else None
    action = Action.parse(rest[0]) if rest else None
    if action is None or len(rest) > 2:
        raise ConfigurationError(f"{' '.join(words)!r} is not understood: expected {WORDS}")
    argument = rest[1] if len(rest) > 1 else None
    if action is Action.CONFIRM and argument is not None:
        if _COUNT.fullmatch(argument) is None:
            raise ConfigurationError(f"{action}: expected the number of held deletions, not {argument!r}")
        return ControlCommand(url, pipeline_id, action, None, int(argument))
    if (action in NEED_FILE) != (argument is not None):
        expected = "the id of a file" if action in NEED_FILE else "no file: it concerns the whole pipeline"
        raise ConfigurationError(f"{action}: expected {expected}")
    return ControlCommand(url, pipeline_id, action, argument)


class _ControlClient:
    """Talks to a running service over HTTP. Redirects are not followed: they would leak the token."""

    def __init__(self, url: str, token: str | None) -> None:
        # Imported here because they take a moment to load, which no other command needs.
        import requests

        from rag_pipeline.client.service_url import parse_url

        self._url: ServiceUrl = parse_url(url)
        self._token = token
        self._session: requests.Session = requests.Session()
        self._session.trust_env = not self._url.loopback
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> _ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def send(self, pipeline_id: str, command: ControlCommand) -> None:
        """Send the action to the pipeline; raises ConfigurationError, ControlError, AccessDeniedError or others."""
        if pipeline_id in (".", ".."):
            raise ConfigurationError(
                f"a pipeline with the id {pipeline_id!r} can't be controlled: in a URL it is a step of the path"
            )
        path = f"/control/{quote(pipeline_id, safe='')}/{command.action}"
        query = {} if command.file_id is None else {"file": command.file_id}
        if command.deletions is not None:
            query["count"] = str(command.deletions)
        status, body = self._request("POST", path, query)
        if status == 202:
            return
        message = body.get("error")
        reason = message if isinstance(message, str) and message else f"it answered {status}"
        match status:
            case 400:
                raise ConfigurationError(reason)
            case 404:
                known = self._pipelines()
                is_known = known is None or pipeline_id in known
                raise ConfigurationError(reason if is_known else unknown_pipelines([pipeline_id], known or ()))
            case 403:
                raise AccessDeniedError(f"the service does not allow it: {reason}")
            case 409:
                raise ControlError(reason)
        raise UnreachableError(f"{self._url} can't be controlled: {reason}")

    def only_pipeline(self) -> str:
        """Return the id of the only pipeline that takes actions; raises an error if there isn't exactly one."""
        pipelines = self._pipelines()
        if pipelines is None:
            self._request("GET", "/status", {})  # raises if a token is missing
            raise UnreachableError(f"{self._url} does not list its pipelines: is it a service of rag-pipeline?")
        entries = pipelines.items()
        controllable = [name for name, entry in entries if isinstance(entry, Mapping) and entry.get("actions")]
        if len(controllable) == 1:
            return str(controllable[0])
        if controllable:
            raise ConfigurationError(f"there are several pipelines, {', '.join(controllable)}: name one of them")
        if pipelines:
            raise AccessDeniedError("no pipeline takes actions: start the service with STATUS_CONTROL=1")
        raise ConfigurationError(f"{self._url} has no pipeline yet")

    def _pipelines(self) -> Mapping[str, Any] | None:
        """Return the pipelines that ``/health`` lists; None if it lists none."""
        _, body = self._request("GET", "/health", {})
        pipelines = body.get("pipelines")
        return pipelines if isinstance(pipelines, Mapping) else None

    def _request(self, method: str, path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        """Return status and JSON object of the answer; raises UnreachableError, and AccessDeniedError for a 401."""
        import requests

        from rag_pipeline.client.failures import failure_reason, unauthorized_error

        try:
            answer = self._session.request(
                method,
                f"{self._url}{path}",
                params=dict(query),
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise UnreachableError(f"{self._url} can't be reached: {failure_reason(error)}") from None
        if answer.status_code == 401:
            raise unauthorized_error(self._token, answer.headers.get("WWW-Authenticate", ""))
        try:
            body = answer.json()
        except ValueError:
            body = None
        return answer.status_code, body if isinstance(body, Mapping) else {}
