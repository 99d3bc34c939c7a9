"""Responses that HTTP paths share, mostly errors."""

from __future__ import annotations

from rag_pipeline.contract.events import Json
from rag_pipeline.contract.schemas import reference


def content(schema: Json) -> Json:
    """Return the content of a response: JSON of this schema."""
    return {"application/json": {"schema": schema}}


def _error(description: str, **headers: str) -> Json:
    response = {"description": description, "content": content(reference("Error"))}
    described = {
        name.replace("_", "-"): {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
    }
    return {**response, "headers": described} if described else response


_BEARER = "`Bearer`, and why the token was refused."
_BY_STATUS = {
    "400": ("BadRequest", _error("The request is malformed: the error says how.")),
    "401": ("Unauthorized", _error("A token is missing, wrong or expired.", WWW_Authenticate=_BEARER)),
    "403": ("Forbidden", _error("The token does not allow this namespace.", WWW_Authenticate=_BEARER)),
    "404": ("NotFound", _error("Not found.")),
    "405": (
        "MethodNotAllowed",
        _error("The method is not allowed here.", Allow="The allowed methods."),
    ),
    "408": ("TooSlow", _error("The request took too long to arrive.")),
    "414": ("AddressTooLong", _error("The request line is too long.")),
    "421": (
        "Misdirected",
        _error("The service requires no token, so it does not answer under this `Host`."),
    ),
    "431": ("HeadersTooLong", _error("The headers are too long.")),
    "503": ("Unavailable", _error("Not now: the error says why.", Retry_After="Seconds to wait, if known.")),
}
RESPONSES: dict[str, Json] = dict(_BY_STATUS.values())
_ANYWHERE = ("400", "405", "408", "414", "421", "431", "503")


def error(description: str) -> Json:
    """Return an error response with a description for one path only."""
    return _error(description)


def responses(description: str, answers: Json, *more: str, success: str = "200") -> Json:
    """Return the responses of a path: success, the errors of every path, and the statuses in ``more``."""
    errors = {status: _BY_STATUS[status][0] for status in sorted({*_ANYWHERE, *more})}
    return {
        success: {"description": description, "content": answers},
        **{status: {"$ref": f"#/components/responses/{name}"} for status, name in errors.items()},
    }
