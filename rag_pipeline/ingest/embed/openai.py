"""Embeds through any endpoint with OpenAI's ``POST /embeddings``, hosted or local."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.auth import AuthBase

from rag_pipeline.common.backoff import Backoff
from rag_pipeline.errors import EmbeddingError, TextRefusedError
from rag_pipeline.ingest.embedding_options import NO_PREFIXES, Prefixes
from rag_pipeline.ingest.types import ProgressCallback, Stopped

if TYPE_CHECKING:
    from rag_pipeline.ingest.types import Vectors

BATCH = 64
ATTEMPTS = 6
_RETRIED = frozenset({408, 409, 425, 429})
# The request is too long, one of its texts is invalid, or the endpoint never accepts such requests.
_REFUSED = frozenset({400, 413, 422})
_PROBE = "probe"
_STOP_CHECK_SECONDS = 0.1


class _Bearer(AuthBase):
    """Sets the key as an ``auth`` object, because an entry of ~/.netrc would replace a plain header."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class _Retry(Exception):  # noqa: N818 - control flow inside this module
    """The request failed, and another attempt may succeed."""

    def __init__(self, reason: str, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class _Rejected(Exception):  # noqa: N818 - control flow inside this module
    """The endpoint rejected the request itself."""


class OpenAIEmbedder:
    """Embeds texts over HTTP in batches; safe under threads.

    After 429, 5xx, a timeout or a broken connection, the request is retried: six attempts, with full-jitter exponential
    backoff, and at least ``Retry-After`` up to 120 s. A rejected batch (400, 413, 422) is halved. A text that is
    rejected alone, while others are embedded, raises TextRefusedError; any other error concerns the endpoint. Requests
    and waits end when ``stop`` is set. Error messages name the endpoint and never contain the key.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        dimensions: int | None = None,
        *,
        stop: threading.Event | None = None,
        prefixes: Prefixes = NO_PREFIXES,
        batch: int = BATCH,
        attempts: int = ATTEMPTS,
        timeout_seconds: float = 60.0,
        backoff_base_seconds: float = 0.5,
        backoff_cap_seconds: float = 30.0,
    ) -> None:
        """Send nothing yet: the first request is the first text, or a probe for unknown ``dimensions``."""
        self._url = base_url.rstrip("/") + "/embeddings"
        self._shown_url = _without_credentials(self._url)
        self._model = model
        self._key = api_key or None
        self._requested_dimensions = dimensions
        self._dimensions = dimensions
        self._stop = stop or threading.Event()
        self._prefixes = prefixes
        self._batch = batch
        self._attempts = attempts
        self._timeout = (min(10.0, timeout_seconds), timeout_seconds)
        self._backoff_base_seconds = backoff_base_seconds
        self._backoff_cap_seconds = backoff_cap_seconds
        self._session = requests.Session()
        self._closed = False

    @property
    def model_id(self) -> str:
        """Name of the model, with the number of dimensions if it was requested, and the prefix of passages if any."""
        name = self._model if self._requested_dimensions is None else f"{self._model}@{self._requested_dimensions}"
        return f"{name} {self._prefixes.passage!r}" if self._prefixes.passage else name

    @property
    def dimensions(self) -> int:
        """Length of each vector; if it is not configured, the first call asks the endpoint. Raises EmbeddingError."""
        if self._dimensions is None:
            self._embed_batch([_PROBE])
        assert self._dimensions is not None
        return self._dimensions

    def embed(
        self, texts: Sequence[str], *, as_questions: bool = False, on_progress: ProgressCallback | None = None
    ) -> Vectors:
        """Return float32 unit vectors, (len(texts), dimensions); raises EmbeddingError, or Stopped."""
        import numpy as np

        prefix = (self._prefixes.question if as_questions else self._prefixes.passage) or ""
        parts: list[Vectors] = []
        for start in range(0, len(texts), self._batch):
            parts.append(self._embed_batch([prefix + text for text in texts[start : start + self._batch]]))
            if on_progress is not None:
                on_progress(min(1.0, (start + self._batch) / len(texts)))
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions), np.float32)

    def close(self) -> None:
        """Close the connections; idempotent."""
        self._closed = True
        self._session.close()

    def _embed_batch(self, texts: Sequence[str]) -> Vectors:
        """Embed a batch; halve it if it is rejected although the endpoint works."""
        try:
            return self._request(texts)
        except _Rejected as rejected:
            self._probe(rejected)
            if len(texts) > 1:
                import numpy as np

                half = len(texts) // 2
                return np.concatenate([self._embed_batch(texts[:half]), self._embed_batch(texts[half:])])
            raise TextRefusedError(self._error(f"refused a text: {rejected}").args[0]) from None

    def _probe(self, rejected: _Rejected) -> None:
        """Raise EmbeddingError unless the endpoint embeds a harmless text."""
        try:
            self._request([_PROBE])
        except _Rejected:
            raise self._error(str(rejected)) from None

    def _request(self, texts: Sequence[str]) -> Vectors:
        # Lone surrogates are replaced: servers answer 400 to invalid Unicode.
        inputs = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        body: dict[str, Any] = {"model": self._model, "input": inputs, "encoding_format": "float"}
        if self._requested_dimensions is not None:
            body["dimensions"] = self._requested_dimensions
        backoff = Backoff(self._backoff_base_seconds, self._backoff_cap_seconds, jitter=1.0)
        for attempt in range(self._attempts):
            if self._closed:
                raise EmbeddingError(f"{self._shown_url}: the embedder is closed")
            if self._stop.is_set():
                raise Stopped
            try:
                return self._vectors(self._post(body), len(inputs))
            except _Retry as failure:
                if attempt + 1 == self._attempts:
                    raise self._error(f"{failure}, {self._attempts} times", retryable=True) from None
                if self._stop.wait(backoff.delay(failure.retry_after)):
                    raise Stopped from None
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _post(self, body: dict[str, Any]) -> object:
        """Send one request and return the parsed answer; raises _Retry if another attempt may succeed."""
        try:
            answer = self._send(body)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
            raise self._error("not a usable URL") from None
        except requests.Timeout:
            raise _Retry(f"no answer within {self._timeout[1]:g} s") from None
        except requests.RequestException as error:
            raise _Retry(f"the connection failed ({_innermost_cause(error)})") from None
        if answer.status_code in _RETRIED or answer.status_code >= 500:
            raise _Retry(f"answered {self._describe(answer)}", answer.headers.get("Retry-After"))
        if answer.status_code in _REFUSED:
            raise _Rejected(f"answered {self._describe(answer)}")
        if answer.status_code != 200:
            raise self._error(f"answered {self._describe(answer)}")
        try:
            return answer.json()
        except ValueError:
            raise _Retry("answered 200 with invalid JSON") from None

    def _send(self, body: dict[str, Any]) -> requests.Response:
        """Send the request on another thread, so that a stop does not wait for an endpoint that hangs."""
        done = threading.Event()
        answers: list[requests.Response] = []
        errors: list[BaseException] = []

        def send() -> None:
            try:
                # No redirects: they would send the key and the texts to a host that nobody configured.
                answer = self._session.post(
                    self._url, json=body, auth=_Bearer(self._key), timeout=self._timeout, allow_redirects=False
                )
                answers.append(answer)
            except BaseException as error:  # noqa: BLE001 - raised in the waiting thread
                errors.append(error)
            finally:
                done.set()

        threading.Thread(target=send, name="embedding-request", daemon=True).start()
        while not done.wait(_STOP_CHECK_SECONDS):
            if self._stop.is_set() or self._closed:
                raise Stopped
        if errors:
            raise errors[0]
        return answers[0]

    def _vectors(self, answer: object, count: int) -> Vectors:
        """Return the vectors in the order of the inputs; the endpoint may return them in any order, with an index."""
        import numpy as np

        try:
            rows = {int(item["index"]): item["embedding"] for item in answer["data"]}  # type: ignore[index]
            out = np.array([rows[i] for i in range(count)], np.float32)
        except (KeyError, TypeError, ValueError, IndexError):
            raise self._error(f"the answer does not hold one embedding for each of {count} texts") from None
        if len(rows) != count or out.ndim != 2 or out.shape[1] == 0:
            raise self._error(f"the answer does not hold one embedding for each of {count} texts")
        if self._dimensions is None:
            self._dimensions = int(out.shape[1])
        if out.shape[1] != self._dimensions:
            raise self._error(f"sent vectors of {out.shape[1]} dimensions, expected {self._dimensions}")
        lengths = np.linalg.norm(out, axis=1, keepdims=True)
        if not np.all(np.isfinite(lengths)) or not np.all(lengths > 0):
            raise self._error("sent a vector that is zero or not finite")
        result: Vectors = out / lengths
        return result

    def _describe(self, answer: requests.Response) -> str:
        text = " ".join(answer.content[:2000].decode("utf-8", "replace").split())
        if self._key:
            text = text.replace(self._key, "***")
        return f"{answer.status_code}: {text[:200]}" if text else str(answer.status_code)

    def _error(self, reason: str, *, retryable: bool = False) -> EmbeddingError:
        error = EmbeddingError(f"embeddings from {self._shown_url} ({self._model}): {reason}")
        error.retryable = retryable
        return error


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _innermost_cause(error: BaseException) -> str:
    """Return the innermost cause, because the outer messages repeat the URL."""
    inner: BaseException = error
    while inner.__context__ is not None:
        inner = inner.__context__
    strerror = getattr(inner, "strerror", None)
    return str(strerror) if strerror else type(inner).__name__
