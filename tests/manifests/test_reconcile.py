"""The nightly reconcile: told what it needs, alone with a key that reads Stripe, by a command that exists."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.settings import load
from gateway_ingest.entrypoints import reconcile_command
from gateway_ingest.settings import IngestSettings

from .test_settings import filled_in

pytestmark = pytest.mark.manifests
NAME = "gateway-ingest-reconcile"


def container(manifests: Any) -> Any:
    (found,) = dict(manifests.pods())[NAME]["spec"]["containers"]
    return found


def test_the_command_is_understood_and_only_looks(manifests: Any) -> None:
    mode, *arguments = container(manifests)["args"]
    parser = argparse.ArgumentParser()
    reconcile_command.add_arguments(parser)
    asked = parser.parse_args(arguments)
    assert (mode, asked.gateway, asked.repair) == ("reconcile", "stripe", False)
    window = reconcile_command.window_of(asked, datetime(2026, 11, 9, 3, 15, tzinfo=UTC))
    assert (window.since, window.until) == (datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))


def test_it_is_told_what_it_needs(manifests: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = manifests.environment(dict(manifests.pods())[NAME])
    assert set(told) - {name.upper() for name in IngestSettings.model_fields} == set()
    for name in IngestSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in filled_in(told).items():
        monkeypatch.setenv(name, value)
    settings = load(IngestSettings)
    (port,) = manifests.of("Service")["ledger"]["spec"]["ports"]
    assert str(settings.ledger_url) == f"http://ledger:{port['port']}/"
    assert settings.stripe_secret_key is not None
    assert "_app:" in told["DATABASE_URL"]


def test_the_running_service_has_no_key_that_reads_stripe(manifests: Any) -> None:
    assert "STRIPE_SECRET_KEY" not in manifests.environment(dict(manifests.pods())["gateway-ingest"])


def test_a_finding_is_one_failed_job_and_runs_never_overlap(manifests: Any, production: Any, dev: Any) -> None:
    spec = manifests.of("CronJob")[NAME]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert "suspend" not in production.of("CronJob")[NAME]["spec"]
    assert dev.of("CronJob")[NAME]["spec"]["suspend"] is True


def test_it_runs_the_service_s_own_image(manifests: Any) -> None:
    (serving,) = manifests.of("Deployment")["gateway-ingest"]["spec"]["template"]["spec"]["containers"]
    assert container(manifests)["image"] == serving["image"]
