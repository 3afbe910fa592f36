"""JSON without floats: numbers come in as int or Decimal and go out as they are (``25.00``).

Refused, as 400: what is not UTF-8, NaN and infinities, a name that stands twice in one object, numbers longer than any
amount, lone surrogates, nesting without end. Gives routes a request that reads and a response that writes this way.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from functools import wraps
from typing import Annotated, Any, Never

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException
from starlette.responses import Response

NUMBER_MAX_CHARS = 64


class MalformedJson(HTTPException):
    """The body is not JSON that we take; 400. The detail says why and repeats nothing of the body."""

    code = "malformed_json"

    def __init__(self, reason: str) -> None:
        super().__init__(400, reason)


def parse_exact(body: bytes) -> Any:
    """Read JSON with every number exact. Raises MalformedJson."""
    try:
        parsed = _decoder.decode(body.decode("utf-8"))
        if b"\\u" in body:
            _refuse_lone_surrogates(parsed)
    except MalformedJson:
        raise
    except UnicodeError:
        raise MalformedJson("the body is not valid Unicode in UTF-8") from None
    except RecursionError:
        raise MalformedJson("the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise MalformedJson(f"not JSON: {error.msg} at character {error.pos}") from None
    return parsed


def _whole(text: str) -> int:
    _refuse_long_number(text)
    return int(text)


def _fraction(text: str) -> Decimal:
    _refuse_long_number(text)
    return Decimal(text)


def _refuse_long_number(text: str) -> None:
    if len(text) > NUMBER_MAX_CHARS:
        raise MalformedJson(f"a number is longer than {NUMBER_MAX_CHARS} characters")


def _constant(name: str) -> Never:
    raise MalformedJson(f"{name} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise MalformedJson("a name stands twice in one object")
    return result


_decoder = json.JSONDecoder(
    parse_int=_whole, parse_float=_fraction, parse_constant=_constant, object_pairs_hook=_object
)


def _refuse_lone_surrogates(parsed: Any) -> None:
    json.dumps(parsed, ensure_ascii=False, default=str).encode("utf-8")


def _encode_other(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError(f"{type(value).__name__} is not JSON")


_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_encode_other)


def encode_exact(content: Any) -> bytes:
    """Write JSON: Decimal as a number literal, datetime as ISO 8601, UUID as text, pydantic models as objects."""
    return _encoder.encode(content)


class ExactJSONResponse(JSONResponse):
    """A JSON response whose Decimals keep their digits."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return encode_exact(content)


class ExactRequest(Request):
    """A request whose ``json()`` is exact."""

    async def json(self) -> Any:
        """The body, parsed once. Raises MalformedJson."""
        if not hasattr(self, "_json"):
            self._json = parse_exact(await self.body())
        return self._json


class ExactRoute(APIRoute):
    """A route that reads and writes exact JSON; a plain value that an endpoint returns becomes an ExactJSONResponse.

    The return annotation still documents the response; nothing is converted or filtered by it.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _answering_exactly(endpoint, options.get("status_code") or 200), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given an exact request."""
        handle = super().get_route_handler()
        wants_json = self.body_field is not None

        async def exact(request: Request) -> Response:
            if wants_json:
                _refuse_other_media(request)
            return await handle(ExactRequest(request.scope, request.receive))

        return exact


class ExactRouter(APIRouter):
    """A router whose routes are exact; what services include."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=ExactRoute, default_response_class=ExactJSONResponse, **options)


def _refuse_other_media(request: Request) -> None:
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise HTTPException(415, "send the body as Content-Type: application/json")


def _answering_exactly(endpoint: Callable[..., Any], status: int) -> Callable[..., Any]:
    """The endpoint with its value made a response, so that FastAPI's own conversion (Decimal → float) is not used."""
    if inspect.isasyncgenfunction(endpoint) or inspect.isgeneratorfunction(endpoint):
        return endpoint

    if inspect.iscoroutinefunction(endpoint):

        @wraps(endpoint)
        async def answer(*args: Any, **kwargs: Any) -> Response:
            return _as_response(await endpoint(*args, **kwargs), status)

        return answer

    @wraps(endpoint)
    def answer_from_thread(*args: Any, **kwargs: Any) -> Response:
        return _as_response(endpoint(*args, **kwargs), status)

    return answer_from_thread


def _as_response(value: Any, status: int) -> Response:
    if isinstance(value, Response):
        return value
    return Response(status_code=status) if status == 204 else ExactJSONResponse(value, status)


def _exact_decimal(value: Any) -> Decimal:
    """A JSON number or a decimal string, nothing else: no bool, no float, no NaN."""
    if isinstance(value, str) and len(value) <= NUMBER_MAX_CHARS and _is_plain(value):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise PydanticCustomError("not_a_number", "must be a decimal number")


def _is_plain(text: str) -> bool:
    whole, _, fraction = text.removeprefix("-").partition(".")
    digits = whole + fraction
    return digits.isascii() and digits.isdigit() and bool(whole) and not text.endswith(".")


DecimalInput = Annotated[
    Decimal,
    BeforeValidator(_exact_decimal),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}]}),
]
"""An amount in a request: a JSON number or a decimal string, read exactly. The asset's rules (decimals, sign, size)
are ``contracts.amounts``'s."""
