"""The nightly reconciles, one for each gateway that can be listed: told what they need, and no key but their own."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.settings import load
from gateway_ingest.bootstrap.reconciling import LISTING
from gateway_ingest.entrypoints import reconcile_command
from gateway_ingest.settings import IngestSettings

from .test_settings import filled_in

pytestmark = pytest.mark.manifests
CLICKPESA = {"CLICKPESA_CLIENT_ID": "client", "CLICKPESA_API_SECRET": "key"}
KEYS = {"stripe": ("stripe_secret_key",), "clickpesa": ("clickpesa_client_id", "clickpesa_api_secret")}
"""Gateway → what it is asked with."""
gateways = pytest.mark.parametrize("gateway", sorted(LISTING))


def jobs(manifests: Any) -> Mapping[str, Any]:
    """Gateway → its CronJob."""
    label = "app.kubernetes.io/component"
    found = [job for job in manifests.of("CronJob").values() if job["metadata"]["labels"].get(label) == "reconcile"]
    by_gateway = {asked_of(container(job)).gateway: job for job in found}
    assert len(by_gateway) == len(found), "one gateway, one job"
    return by_gateway


def pod(job: Any) -> Any:
    return job["spec"]["jobTemplate"]["spec"]["template"]


def container(job: Any) -> Any:
    (found,) = pod(job)["spec"]["containers"]
    return found


def asked_of(found: Any) -> argparse.Namespace:
    mode, *arguments = found["args"]
    assert mode == "reconcile"
    parser = argparse.ArgumentParser()
    reconcile_command.add_arguments(parser)
    return parser.parse_args(arguments)


def test_every_gateway_that_can_be_listed_is_compared_every_night(manifests: Any) -> None:
    assert set(jobs(manifests)) == set(LISTING) == set(KEYS)
    times = [job["spec"]["schedule"].split() for job in jobs(manifests).values()]
    assert all(time[2:] == ["*", "*", "*"] for time in times)
    assert len({tuple(time) for time in times}) == len(times), "not all at once"


@gateways
def test_the_command_is_understood_and_only_looks(manifests: Any, gateway: str) -> None:
    asked = asked_of(container(jobs(manifests)[gateway]))
    assert asked.repair is False
    window = reconcile_command.window_of(asked, datetime(2026, 11, 9, 3, 15, tzinfo=UTC))
    assert (window.since, window.until) == (datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))


@gateways
def test_it_is_told_what_it_needs(manifests: Any, gateway: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = manifests.environment(pod(jobs(manifests)[gateway]))
    settings = loaded(told, monkeypatch, CLICKPESA)
    assert set(told) - {name.upper() for name in IngestSettings.model_fields} == set()
    (port,) = manifests.of("Service")["ledger"]["spec"]["ports"]
    assert str(settings.ledger_url) == f"http://ledger:{port['port']}/"
    assert None not in [getattr(settings, name) for name in KEYS[gateway]]
    assert "_app:" in told["DATABASE_URL"]


def loaded(told: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, stored: Mapping[str, str]) -> IngestSettings:
    for name in IngestSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in filled_in(told, stored).items():
        monkeypatch.setenv(name, value)
    return load(IngestSettings)


def test_a_gateway_whose_keys_the_store_may_lack_ends_well_without_them(
    manifests: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for gateway, job in jobs(manifests).items():
        settings = loaded(manifests.environment(pod(job)), monkeypatch, {})
        may_lack = any(getattr(settings, name) is None for name in KEYS[gateway])
        assert asked_of(container(job)).if_set_up is may_lack, gateway


def test_of_this_service_only_stripe_s_reconcile_has_a_key_that_reads_stripe(manifests: Any) -> None:
    pods = {name: pod for name, pod in manifests.pods() if name.startswith("gateway-ingest")}
    holding = {name for name, pod in pods.items() if "STRIPE_SECRET_KEY" in manifests.environment(pod)}
    assert holding == {jobs(manifests)["stripe"]["metadata"]["name"]}


@gateways
def test_a_finding_is_one_failed_job_and_runs_never_overlap(
    manifests: Any, production: Any, dev: Any, gateway: str
) -> None:
    spec = jobs(manifests)[gateway]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert "suspend" not in jobs(production)[gateway]["spec"]
    assert jobs(dev)[gateway]["spec"]["suspend"] is True


@gateways
def test_it_runs_the_service_s_own_image(manifests: Any, gateway: str) -> None:
    (serving,) = manifests.of("Deployment")["gateway-ingest"]["spec"]["template"]["spec"]["containers"]
    assert container(jobs(manifests)[gateway])["image"] == serving["image"]
