"""Who asks from outside reaches the service that answers: every path that the code serves to people or gateways."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from gateway_ingest.bootstrap.gateways import PATHS as GATEWAYS_PATHS
from payments_api.entrypoints.http.api import make_app
from payments_api.entrypoints.http.webhooks import PATHS as FORWARDED_PATHS

pytestmark = pytest.mark.manifests

INSIDE_ONLY = ("/metrics", "/healthz", "/readyz", "/v1/quarantine", "/v1/trial-balance")


def routed(manifests: Any, path: str) -> str | None:
    """The service that an Ingress controller chooses: an exact path first, then the longest prefix."""
    found = [
        (rule["pathType"] == "Exact", len(rule["path"]), rule["backend"]["service"]["name"])
        for door in manifests.of("Ingress").values()
        for rule in door["spec"]["rules"][0]["http"]["paths"]
        if path == rule["path"] or (rule["pathType"] == "Prefix" and path.startswith(f"{rule['path']}/"))
    ]
    return max(found)[2] if found else None


def paths_of_payments_api() -> set[str]:
    """No route is called, so that what they are made of may be anything."""
    app = make_app(MagicMock(settings=SimpleNamespace(signs_anybody_in=True, admin_token=None)))
    return {*app.openapi()["paths"], *(route.path for route in app.routes if hasattr(route, "path"))}


def test_webhooks_go_to_gateway_ingest_straight(manifests: Any) -> None:
    assert {routed(manifests, path) for path in GATEWAYS_PATHS} == {"gateway-ingest"}


def test_all_that_payments_api_serves_is_reached(manifests: Any) -> None:
    served = paths_of_payments_api() - set(FORWARDED_PATHS)
    assert {"/api/user/tfc-balance", "/docs", "/openapi.json"} <= served
    assert {path: routed(manifests, path) for path in served} == dict.fromkeys(served, "payments-api")


@pytest.mark.parametrize("path", INSIDE_ONLY)
def test_what_is_for_us_stays_inside(manifests: Any, path: str) -> None:
    assert routed(manifests, path) is None
