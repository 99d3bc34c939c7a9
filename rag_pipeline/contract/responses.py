"""The answers that addresses of the HTTP server have in common, mostly errors."""

from __future__ import annotations

from typing import Any

from rag_pipeline.contract.schemas import reference

Document = dict[str, Any]


def content(schema: Document) -> Document:
    """Return JSON of this schema, as the content of a response."""
    return {"application/json": {"schema": schema}}


def _error(description: str, **headers: str) -> Document:
    told = {"description": description, "content": content(reference("Error"))}
    named = {
        name.replace("_", "-"): {"description": meaning, "schema": {"type": "string"}}
        for name, meaning in headers.items()
    }
    return {**told, "headers": named} if named else told


_BEARER = "`Bearer`, with why a token was refused."
_BY_STATUS = {
    "400": ("BadRequest", _error("The request can't be used: the error says why.")),
    "401": ("Unauthorized", _error("A token is missing, wrong or expired.", WWW_Authenticate=_BEARER)),
    "403": ("Forbidden", _error("The token does not allow this namespace.", WWW_Authenticate=_BEARER)),
    "404": ("NotFound", _error("There is nothing of this name.")),
    "405": (
        "MethodNotAllowed",
        _error("The method is not possible here.", Allow="The methods that are."),
    ),
    "408": ("TooSlow", _error("The request took too long to arrive.")),
    "414": ("AddressTooLong", _error("The request line is too long.")),
    "421": (
        "Misdirected",
        _error("No token is asked for, and the service does not answer under this `Host`."),
    ),
    "431": ("HeadersTooLong", _error("The headers are too long.")),
    "503": ("Unavailable", _error("Not now: the error says why.", Retry_After="Seconds to wait, if that is known.")),
}
RESPONSES: dict[str, Document] = dict(_BY_STATUS.values())
_ANYWHERE = ("400", "405", "408", "414", "421", "431", "503")


def error(description: str) -> Document:
    """Return an error that one address has alone, or one that means something else there."""
    return _error(description)


def responses(description: str, answers: Document, *more: str, success: str = "200") -> Document:
    """Return the responses of an address: its success, the errors that any address has, and ``more`` of them."""
    errors = {status: _BY_STATUS[status][0] for status in sorted({*_ANYWHERE, *more})}
    return {
        success: {"description": description, "content": answers},
        **{status: {"$ref": f"#/components/responses/{name}"} for status, name in errors.items()},
    }
