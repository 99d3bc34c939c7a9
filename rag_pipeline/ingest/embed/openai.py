"""Embeds through any endpoint that speaks OpenAI's ``POST /embeddings``: hosted, or a server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.auth import AuthBase

from rag_pipeline.errors import EmbeddingError, TextRefusedError
from rag_pipeline.ingest.embed.backoff import delay_before
from rag_pipeline.ingest.types import ProgressCallback, Stopped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

BATCH = 64
ATTEMPTS = 6
_RETRIED = frozenset({408, 409, 425, 429})
# A request that is too long, or has a text that this endpoint takes for none; or one that it never takes.
_REFUSED = frozenset({400, 413, 422})
_PROBE = "probe"
_STOP_CHECK_SECONDS = 0.1


class _Bearer(AuthBase):
    """Sets the key as an ``auth`` object: given as a plain header, an entry in ~/.netrc would replace it."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class _Retry(Exception):  # noqa: N818 - control flow inside this module
    def __init__(self, why: str, header: str | None = None) -> None:
        super().__init__(why)
        self.header = header


class _Refused(Exception):  # noqa: N818 - control flow inside this module
    """The endpoint refused what was sent."""


class OpenAIEmbedder:
    """Embeds texts over HTTP in batches; safe under threads.

    429, 5xx, timeouts and broken connections are tried again, six times in all, with full-jitter exponential backoff
    and at least what ``Retry-After`` asks for, at most 120 s. A batch that is refused (400, 413, 422) is halved, and a
    text that is refused alone, while others are embedded, raises TextRefusedError; any other error is about the
    endpoint. Requests and waits end when ``stop`` is set. Errors name the endpoint and never hold the key.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        dimensions: int | None = None,
        *,
        stop: threading.Event | None = None,
        batch: int = BATCH,
        attempts: int = ATTEMPTS,
        timeout_seconds: float = 60.0,
        backoff_base_seconds: float = 0.5,
        backoff_cap_seconds: float = 30.0,
    ) -> None:
        """Keep the settings; nothing is sent before the first text, or before ``dimensions`` is asked for unset."""
        self._url = base_url.rstrip("/") + "/embeddings"
        self._shown_url = _without_credentials(self._url)
        self._model = model
        self._key = api_key or None
        self._requested = dimensions
        self._dimensions = dimensions
        self._stop = stop or threading.Event()
        self._batch = batch
        self._attempts = attempts
        self._timeout = (min(10.0, timeout_seconds), timeout_seconds)
        self._backoff = {"base_seconds": backoff_base_seconds, "cap_seconds": backoff_cap_seconds}
        self._session = requests.Session()
        self._closed = False

    @property
    def model_id(self) -> str:
        """Name of the model, with the length of its vectors where that was asked for."""
        return self._model if self._requested is None else f"{self._model}@{self._requested}"

    @property
    def dimensions(self) -> int:
        """Length of each vector; asks the endpoint once if it was not given. Raises EmbeddingError."""
        if self._dimensions is None:
            self._embed([_PROBE])
        assert self._dimensions is not None
        return self._dimensions

    def embed(self, texts: Sequence[str], *, on_progress: ProgressCallback | None = None) -> Vectors:
        """Return float32 unit vectors, (len(texts), dimensions); raises EmbeddingError, or Stopped."""
        import numpy as np

        parts: list[Vectors] = []
        for start in range(0, len(texts), self._batch):
            parts.append(self._embed(texts[start : start + self._batch]))
            if on_progress is not None:
                on_progress(min(1.0, (start + self._batch) / len(texts)))
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions), np.float32)

    def close(self) -> None:
        """Close the connections; idempotent."""
        self._closed = True
        self._session.close()

    def _embed(self, texts: Sequence[str]) -> Vectors:
        """Embed a batch; one that is refused is halved, as long as the endpoint takes anything at all."""
        try:
            return self._request(texts)
        except _Refused as refused:
            self._probe(refused)
            if len(texts) > 1:
                import numpy as np

                half = len(texts) // 2
                return np.concatenate([self._embed(texts[:half]), self._embed(texts[half:])])
            raise TextRefusedError(self._error(f"refused a text: {refused}").args[0]) from None

    def _probe(self, refused: _Refused) -> None:
        """Raise EmbeddingError unless the endpoint embeds a text that nobody could refuse."""
        try:
            self._request([_PROBE])
        except _Refused:
            raise self._error(str(refused)) from None

    def _request(self, texts: Sequence[str]) -> Vectors:
        # A lone surrogate is no Unicode text: servers answer it with a 400.
        inputs = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        body: dict[str, Any] = {"model": self._model, "input": inputs, "encoding_format": "float"}
        if self._requested is not None:
            body["dimensions"] = self._requested
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
                if self._stop.wait(delay_before(attempt, failure.header, **self._backoff)):
                    raise Stopped from None
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _post(self, body: dict[str, Any]) -> object:
        """Send one request and return the parsed answer; raises _Retry where trying again can help."""
        try:
            answer = self._send(body)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
            raise self._error("not a usable URL") from None
        except requests.Timeout:
            raise _Retry(f"no answer within {self._timeout[1]:g} s") from None
        except requests.RequestException as error:
            raise _Retry(f"the connection failed ({_root(error)})") from None
        if answer.status_code in _RETRIED or answer.status_code >= 500:
            raise _Retry(f"answered {self._describe(answer)}", answer.headers.get("Retry-After"))
        if answer.status_code in _REFUSED:
            raise _Refused(f"answered {self._describe(answer)}")
        if answer.status_code != 200:
            raise self._error(f"answered {self._describe(answer)}")
        try:
            return answer.json()
        except ValueError:
            raise _Retry("answered 200 with something that is not JSON") from None

    def _send(self, body: dict[str, Any]) -> requests.Response:
        """Send the request on a thread of its own: a stop does not wait for an endpoint that hangs."""
        done = threading.Event()
        answers: list[requests.Response] = []
        errors: list[BaseException] = []

        def send() -> None:
            try:
                # A redirect is not followed: it would carry the key, and a POST, to where nobody configured it.
                answer = self._session.post(
                    self._url, json=body, auth=_Bearer(self._key), timeout=self._timeout, allow_redirects=False
                )
                answers.append(answer)
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
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
        """Return the rows in the order of the inputs: an endpoint may answer in any order, and says which by index."""
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

    def _error(self, why: str, *, retryable: bool = False) -> EmbeddingError:
        error = EmbeddingError(f"embeddings from {self._shown_url} ({self._model}): {why}")
        error.retryable = retryable
        return error


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _root(error: BaseException) -> str:
    """Name the innermost cause: the messages around it repeat the URL."""
    seen: BaseException = error
    while seen.__context__ is not None:
        seen = seen.__context__
    strerror = getattr(seen, "strerror", None)
    return str(strerror) if strerror else type(seen).__name__
