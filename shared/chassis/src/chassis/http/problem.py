"""Errors as RFC 9457 problem documents: one shape for whatever goes wrong on any of our HTTP interfaces.

``type`` is ``urn:gridledger:problem:<code>`` and ``code`` repeats its last part; both are stable. A problem names
fields and rules, never the values that were sent. Decides no status of its own beyond the mapping below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chassis.errors import DomainError, OperationalError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:gridledger:problem:"
ERRORS_MAX_LISTED = 20
FIELD_MAX_CHARS = 100

_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)

_CODES = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    HTTPStatus.UNPROCESSABLE_ENTITY: "invalid_request",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}

# Pydantic quotes characters of the input in these messages.
_OWN_DETAIL = {
    "uuid_parsing": "must be a UUID",
    "datetime_from_date_parsing": "must be a date and time as RFC 3339 writes it",
    "datetime_parsing": "must be a date and time as RFC 3339 writes it",
    "url_parsing": "must be a URL",
}

_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("field", "code", "detail")},
            },
        },
    },
}

OPENAPI_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"description": "A problem (RFC 9457)", "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
}


def problem(
    status: int,
    code: str,
    title: str,
    detail: str | None = None,
    field: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """A problem document as a response. ``extra`` members stand beside the standard ones; None is left out."""
    document: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "field": field,
    }
    stated = {name: value for name, value in document.items() if value is not None}
    return Response(_encoder.encode({**extra, **stated}), status, dict(headers or {}), MEDIA_TYPE)


def unavailable(title: str, *, retry_after_s: int = 1) -> Response:
    """503 with the time after which to try again."""
    return problem(503, "unavailable", title, headers={"retry-after": str(retry_after_s)})


def install(app: FastAPI) -> None:
    """Answer every error that a route can raise with a problem document."""
    app.add_exception_handler(DomainError, _domain_error)
    app.add_exception_handler(OperationalError, _operational_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)


async def _domain_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    headers = {"www-authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else None
    return problem(error.status, error.code, error.title, field=error.field, headers=headers, **error.extra)


async def _operational_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, OperationalError)
    return unavailable("Something this request needs is away; try again", retry_after_s=error.retry_after_s)


async def _http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = getattr(error, "code", None) or _CODES.get(status, status.phrase.lower().replace(" ", "_"))
    detail = error.detail if error.detail and error.detail != status.phrase else None
    return problem(status, code, status.phrase, detail, headers=error.headers)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_fault(fault) for fault in error.errors()[:ERRORS_MAX_LISTED]]
    first = errors[0]
    return problem(422, first["code"], "The request is not valid", first["detail"], first["field"], errors=errors)


def _fault(fault: Mapping[str, Any]) -> dict[str, str]:
    """One fault without the value that was sent."""
    reason = fault.get("ctx", {}).get("error")
    code = getattr(reason, "code", None) or str(fault["type"])
    message = str(reason) if isinstance(reason, ValueError) else str(fault["msg"])
    return {"field": _field_name(fault["loc"]), "code": code, "detail": _OWN_DETAIL.get(code, message)}


def _field_name(location: Sequence[int | str]) -> str:
    """``("body", "items", 0, "amount")`` → ``items.0.amount``; the body itself is ``body``."""
    parts = location[1:] or location[:1]
    return ".".join(str(part) for part in parts)[:FIELD_MAX_CHARS]
