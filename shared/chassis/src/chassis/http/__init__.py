"""HTTP for every service: application, exact JSON, problem documents, limits, health, server.

This is the door; what stands behind it is in the modules. Holds no route of any business.
"""

from chassis.http.app import create_app
from chassis.http.exact_json import (
    DecimalInput,
    ExactJSONResponse,
    ExactRequest,
    ExactRoute,
    ExactRouter,
    MalformedJson,
    encode_exact,
    parse_exact,
)
from chassis.http.problem import problem, unavailable
from chassis.http.server import serve_http
from chassis.http.service_token import require_service_token

__all__ = [
    "DecimalInput",
    "ExactJSONResponse",
    "ExactRequest",
    "ExactRoute",
    "ExactRouter",
    "MalformedJson",
    "create_app",
    "encode_exact",
    "parse_exact",
    "problem",
    "require_service_token",
    "serve_http",
    "unavailable",
]
