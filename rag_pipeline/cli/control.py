"""``rag-pipeline control``: asks a pipeline of a running service to pause, go on, look again, confirm deletions, …."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from rag_pipeline.cli.watch.command import TOKEN_KEY, default_url, read_token
from rag_pipeline.common.printing import say
from rag_pipeline.errors import AccessDeniedError, ConfigurationError, ExitCode, UnreachableError
from rag_pipeline.status.control import NEED_FILE, Action, ControlError

if TYPE_CHECKING:
    import requests

    from rag_pipeline.client.service_url import ServiceUrl

TIMEOUT_SECONDS = 10.0
DESCRIPTION = (
    "Ask a pipeline of a running service to pause, to resume, to check its source now, to retry a file that failed, "
    "to cancel a file, which is then done after all others, or to confirm deletions that are held. "
    "The service lets it be asked with STATUS_CONTROL=1. "
    f"A token comes from {TOKEN_KEY} or --token-file."
)
EPILOG = (
    "URL is the service, with its http:// or https:// (default: this machine, port STATUS_PORT or 8003); PIPELINE may "
    "be left out where there is one alone; FILE is the file's id, as in /files. COUNT is the number of deletions that "
    "are confirmed: none is if more are held. "
    "Exit codes: 0 the pipeline was asked; 2 there is no such pipeline or action; 9 the service does not allow it; "
    "10 there is no service; 11 the pipeline can't do it, or not now."
)
WORDS = "[URL] [PIPELINE] pause|resume|check|retry|cancel|confirm [FILE|COUNT]"
_COUNT = re.compile("[1-9][0-9]{0,8}")


class Order(NamedTuple):
    """What is asked of which pipeline; None stands for the service of this machine, and for its only pipeline."""

    url: str | None
    pipeline_id: str | None
    action: Action
    file_id: str | None
    deletions: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.usage = f"rag-pipeline control [--token-file FILE] {WORDS}"
    parser.add_argument("words", nargs="+", metavar="WORD", help=WORDS)
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=f"file with the token (default: {TOKEN_KEY})")


def run(args: argparse.Namespace) -> int:
    """Ask, and say in one line for what; raises what is told in one line."""
    order = read_order(args.words)
    token = read_token(args.token_file)
    with _Service(order.url or default_url(), token() if callable(token) else token) as service:
        pipeline_id = order.pipeline_id or service.only_pipeline()
        service.ask(pipeline_id, order)
    about = order.file_id or order.deletions
    say(f"{pipeline_id}: asked to {order.action}" + (f" {about}" if about else ""))
    return ExitCode.OK


def read_order(words: Sequence[str]) -> Order:
    """Return what the words of the command line say; raises ConfigurationError.

    A word before an action is always the pipeline, so that one called ``pause`` can be told to pause.
    """
    url = words[0] if "://" in words[0] else None
    rest = list(words if url is None else words[1:])
    named = len(rest) > 1 and rest[1] in tuple(Action)
    pipeline_id = rest.pop(0) if named else None
    if not rest or rest[0] not in tuple(Action) or len(rest) > 2:
        raise ConfigurationError(f"{' '.join(words)!r} is not understood: expected {WORDS}")
    action, file_id = Action(rest[0]), rest[1] if len(rest) > 1 else None
    if action is Action.CONFIRM and file_id is not None:
        if _COUNT.fullmatch(file_id) is None:
            raise ConfigurationError(f"{action}: expected the number of deletions that are held, not {file_id!r}")
        return Order(url, pipeline_id, action, None, int(file_id))
    if (action in NEED_FILE) != (file_id is not None):
        about = "the id of a file" if action in NEED_FILE else "no file, as it is about the whole pipeline"
        raise ConfigurationError(f"{action}: expected {about}")
    return Order(url, pipeline_id, action, file_id)


class _Service:
    """A running service, asked over HTTP; no token goes on to where it redirects."""

    def __init__(self, url: str, token: str | None) -> None:
        # Here, since they take a moment, which the other commands need not wait for.
        import requests

        from rag_pipeline.client.service_url import parse_url

        self._url: ServiceUrl = parse_url(url)
        self._token = token
        self._session: requests.Session = requests.Session()
        self._session.trust_env = not self._url.loopback
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> _Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def ask(self, pipeline_id: str, order: Order) -> None:
        """Ask a pipeline for something; raises what stands in the way."""
        if pipeline_id in (".", ".."):
            raise ConfigurationError(
                f"a pipeline called {pipeline_id!r} can't be asked: in a URL it is a step of the path"
            )
        path = f"/control/{quote(pipeline_id, safe='')}/{order.action}"
        query = {} if order.file_id is None else {"file": order.file_id}
        if order.deletions is not None:
            query["count"] = str(order.deletions)
        status, body = self._request("POST", path, query)
        if status == 202:
            return
        told = body.get("error")
        reason = told if isinstance(told, str) and told else f"it answered {status}"
        match status:
            case 400 | 404:
                raise ConfigurationError(reason)
            case 403:
                raise AccessDeniedError(f"the service does not allow it: {reason}")
            case 409:
                raise ControlError(reason)
        raise UnreachableError(f"{self._url} can't be asked: {reason}")

    def only_pipeline(self) -> str:
        """Return the id of the only pipeline that can be asked; raises ConfigurationError if there is not just one."""
        _, body = self._request("GET", "/health", {})
        told = body.get("pipelines")
        if not isinstance(told, Mapping):
            self._request("GET", "/status", {})  # which says that there is a token to give
            raise UnreachableError(f"{self._url} does not name its pipelines: is it a service of rag-pipeline?")
        able = [name for name, one in told.items() if isinstance(one, Mapping) and one.get("actions")]
        if len(able) == 1:
            return str(able[0])
        if able:
            raise ConfigurationError(f"there are several pipelines, {', '.join(able)}: say which one is meant")
        if told:
            raise AccessDeniedError("none of its pipelines can be asked: the service allows it with STATUS_CONTROL=1")
        raise ConfigurationError(f"{self._url} has no pipeline")

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
