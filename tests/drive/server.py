"""The fake Drive server: routes and checks requests, applies planned faults, and responds from the model."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

from tests.drive import discovery, responses
from tests.drive.api import Api
from tests.drive.api_errors import ApiError, ViolationError, unauthorized
from tests.drive.change_log import token_gone
from tests.drive.discovery import Call
from tests.drive.faults import Fault, Faults
from tests.drive.grants import SCOPE, GrantError, Grants
from tests.drive.http_handler import NO_FAULT, DriveHttpServer, PlannedResponse
from tests.drive.model import Behaviour, Drive
from tests.drive.request_log import LoggedRequest, RequestLog
from tests.drive.responses import HttpResponse

ROUTES = {
    ("POST", "/token"): "token",
    ("GET", "/consent"): "consent",
    ("GET", "/docs/export"): "export_link",
    ("GET", "/docs/content"): "export_content",
}
"""The routes besides the API."""
LONGEST_TARGET = 8192
"""Google's front ends answer longer ones with 414."""
CLOSE_SECONDS = 10.0


class DriveServer:
    """A fake Drive on loopback; see the package's docstring."""

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self.drive = Drive(self.behaviour)
        self.faults = Faults()
        self.requests = RequestLog()
        self.violations: list[str] = []
        self.closing = threading.Event()
        self._listener = DriveHttpServer(self)
        self.port = self._listener.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self.grants = Grants(self.url)
        self._api = Api(self.drive, self.url)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.02}, name="drive", daemon=True
        )

    def __enter__(self) -> DriveServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        # A test that has already failed keeps its own error.
        if kind is None:
            assert not self.violations, "\n".join(self.violations)

    def close(self) -> None:
        """Stop the server, its connections and threads; idempotent."""
        if self.closing.is_set():
            return
        self.closing.set()
        self.faults.close()
        self._listener.shutdown()
        self._thread.join(CLOSE_SECONDS)
        self._listener.end_connections()
        self._listener.server_close()

    # Shorter names

    def service_account(self) -> dict[str, object]:
        """Return the JSON key file of a service account."""
        return self.grants.service_account()

    def client_secrets(self) -> dict[str, object]:
        """Return the JSON of an OAuth client for installed apps."""
        return self.grants.client_secrets()

    def authorized_user(self) -> dict[str, object]:
        """Return the JSON of a person's saved grant."""
        return self.grants.authorized_user()

    def access_token(self) -> str:
        """Return a valid access token."""
        return self.grants.access_token()

    def expire_change_tokens(self) -> None:
        """Expire all page tokens of changes."""
        with self.drive.lock:
            for feed in (self.drive.user_feed, *self.drive.drive_feeds.values()):
                feed.expire_tokens()

    def expire_list_tokens(self) -> None:
        """Expire all page tokens of listings."""
        with self.drive.lock:
            self._api.listings.expire_tokens()

    # What the listener calls

    def respond(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> PlannedResponse:
        """Return the response to a request, and log the request."""
        split = urlsplit(target)
        kept = {name: value for name, value in headers.items() if name != "authorization"}
        request = LoggedRequest("", verb, split.path, dict(parse_qsl(split.query)), kept, bytes_in=len(body))
        with self._minding(request, f"{verb} {target}") as exchanged:
            if len(target) > LONGEST_TARGET:
                raise ViolationError(414, "uriTooLong", "the request's URL is too long")
            request.operation = ROUTES.get((verb, split.path), "")
            if request.operation:
                exchanged.append(self._beside_api(request, headers, body))
            else:
                exchanged.append(self._of_api(request, split.query, headers, body))
        self.requests.append(request)
        return exchanged[-1]

    @contextmanager
    def _minding(self, request: LoggedRequest, said: str) -> Iterator[list[PlannedResponse]]:
        """Turn exceptions into responses; an invalid request fails the test."""
        exchanged: list[PlannedResponse] = []
        try:
            yield exchanged
        except ApiError as refusal:
            if isinstance(refusal, ViolationError):
                self.violations.append(f"{said}: {refusal}")
            exchanged.append(self._exchange(request, responses.refused(refusal)))
        except GrantError as error:
            self.grants.refused.append(str(error))
            if error.violation:
                self.violations.append(f"{request.method} {request.path}: {error}")
            exchanged.append(self._exchange(request, responses.of_json(error.body, error.status)))
        except Exception as error:  # noqa: BLE001 - a mistake of the model has to fail the test, not a thread
            self.violations.append(f"the tests' Drive failed at {said}: {type(error).__name__}: {error}")
            exchanged.append(self._exchange(request, responses.refused(ApiError(500, "backendError"))))

    def _of_api(self, request: LoggedRequest, query: str, headers: Mapping[str, str], body: bytes) -> PlannedResponse:
        call = discovery.call(request.method, request.path, query)
        request.operation = call.operation
        if body:
            raise ViolationError(400, "badRequest", f"{call.method.name} has no body")
        if SCOPE not in call.method.described.get("scopes", ()):
            raise ViolationError(403, "insufficientPermissions", f"{call.method.name} wants more than {SCOPE}")
        modelled = self._api.methods.get(call.method.name)
        if modelled is None:
            raise ViolationError(501, "notImplemented", f"{call.method.name} is not modelled")
        discovery.check_known(call, modelled.parameters, query)
        self._check_access(headers)
        fault = self._fault(request, _files_of(call))
        with self.drive.lock:
            return self._exchange(request, self._api.answer(call, headers), fault)

    def _beside_api(self, request: LoggedRequest, headers: Mapping[str, str], body: bytes) -> PlannedResponse:
        fault = self._fault(request, frozenset({request.query.get("id", "")}))
        return self._exchange(request, self._linked_or_granted(request, headers, body), fault)

    def _linked_or_granted(self, request: LoggedRequest, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        if request.operation == "token":
            if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
                raise GrantError("invalid_request", "no form", violation=True)
            return responses.of_json(self.grants.token(dict(parse_qsl(body.decode()))))
        if request.operation == "consent":
            return responses.redirected(self.grants.redirect(request.query))
        with self.drive.lock:
            if request.operation == "export_link":
                self._check_access(headers)
                return self._api.export_link(request.query, f"http://localhost:{self.port}")
            if "authorization" in headers:
                raise ViolationError(400, "badRequest", "the access token was shown to another host")
            return self._api.linked(request.query.get("key", ""))

    def _check_access(self, headers: Mapping[str, str]) -> None:
        if not self.grants.is_good(headers.get("authorization", "")):
            raise unauthorized()

    def _fault(self, request: LoggedRequest, files: frozenset[str]) -> Fault:
        fault = self.faults.met_by(request.operation, files) or NO_FAULT
        request.fault = None if fault is NO_FAULT else fault.name
        if fault.refusal is not None:
            raise fault.refusal
        if fault.token_gone:
            raise token_gone(self.behaviour.gone_status)
        return fault

    def _exchange(self, request: LoggedRequest, answer: HttpResponse, fault: Fault = NO_FAULT) -> PlannedResponse:
        return PlannedResponse(request, answer, fault, self.faults.released)


def _files_of(call: Call) -> frozenset[str]:
    named = [call.given[name] for name in ("fileId", "driveId") if name in call.given]
    return frozenset(named) | frozenset(re.findall(r"'([^']+)' in parents", call.given.get("q", "")))
