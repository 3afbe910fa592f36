"""``deploy/k8s/rollout``: platform, then migrations, then services; and a migration that fails stops it.

kubectl is played by a script that writes down how it was called, since there is no cluster: what it would have applied
is computed from the real manifests and the real selectors.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.manifests

ROOT = Path(__file__).resolve().parents[2]
ROLLOUT = ROOT / "deploy" / "k8s" / "rollout"
PHASE = "gridledger.io/phase"
LATE = {"Deployment", "CronJob", "HorizontalPodAutoscaler", "ScaledObject", "TriggerAuthentication"}
PLATFORM = f"{PHASE} notin (migrate,serve)"
SERVICES = ("gateway-ingest", "ledger", "deployments", "payments-api")
PLAYED = """#!/usr/bin/env bash
[[ $1 == kustomize ]] && exec {kubectl} "$@"
printf '%s\\n' "$*" >>{calls}
case "$1 $2" in
    "get jobs") printf '{states}' ;;
    "get deployments") printf 'deployment.apps/ledger\\ndeployment.apps/payments-api\\n' ;;
    "logs "*) echo "what the migration said" ;;
esac
"""


Rollout = Callable[..., tuple[subprocess.CompletedProcess[str], list[str]]]


@pytest.fixture
def run(kubectl: Path, tmp_path: Path) -> Rollout:
    """``run(states, *arguments)``: the script's end, and kubectl's calls in their order."""
    calls, played = tmp_path / "calls", tmp_path / "kubectl"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def running(states: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        played.write_text(PLAYED.format(kubectl=kubectl, calls=calls, states=states))
        played.chmod(0o755)
        calls.touch()
        command = [str(ROLLOUT), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        return done, calls.read_text().splitlines()

    return running


def states(state: str) -> str:
    return "".join(f"{service}-migration={state}\\n" for service in SERVICES)


def position(calls: list[str], *words: str) -> int:
    (found,) = [number for number, call in enumerate(calls) if all(word in call for word in words)]
    return found


def phase_of(found: Any) -> str:
    phase: str = found["metadata"].get("labels", {}).get(PHASE, "platform")
    return phase


def test_the_order_is_platform_migrations_services(run: Rollout) -> None:
    done, calls = run(states("SuccessCriteriaMet Complete"), "production")
    assert done.returncode == 0, done.stderr
    order = [
        position(calls, "apply", PLATFORM),
        position(calls, "wait", "externalsecrets"),
        position(calls, "wait", "clusters.postgresql.cnpg.io/postgres"),
        position(calls, "wait", "databases.postgresql.cnpg.io"),
        position(calls, "wait", "kafkas.kafka.strimzi.io"),
        position(calls, "wait", "kafkatopics.kafka.strimzi.io,kafkausers"),
        position(calls, "delete", "jobs", f"{PHASE}=migrate"),
        position(calls, "apply", f"{PHASE}=migrate"),
        position(calls, "get", "jobs"),
        position(calls, "apply", f"{PHASE}=serve"),
        position(calls, "rollout status", "deployment.apps/payments-api"),
    ]
    assert order == sorted(order)


def test_a_migration_that_fails_leaves_the_services_as_they_are(run: Rollout) -> None:
    failed = states("Complete").replace("ledger-migration=Complete", "ledger-migration=FailureTarget Failed")
    done, calls = run(failed, "production")
    assert done.returncode == 1
    assert "ledger-migration failed" in done.stderr
    assert "what the migration said" in done.stderr
    assert [call for call in calls if f"{PHASE}=serve" in call] == []


def test_a_migration_that_does_not_end_leaves_them_too(run: Rollout) -> None:
    done, calls = run(states(""), "production", "--timeout", "2")
    assert done.returncode == 1
    assert "did not end within 2 s" in done.stderr
    assert [call for call in calls if f"{PHASE}=serve" in call] == []


@pytest.mark.parametrize(
    "arguments", [(), ("nowhere",), ("dev", "--timeout"), ("dev", "--timeout", "soon"), ("dev", "now")]
)
def test_what_it_does_not_understand_it_does_not_do(run: Rollout, arguments: tuple[str, ...]) -> None:
    done, calls = run("", *arguments)
    assert (done.returncode, calls) == (2, [])
    assert "usage: deploy/k8s/rollout dev|production" in done.stderr


def test_every_object_is_applied_in_one_phase(manifests: Any) -> None:
    phases = {(found["kind"], phase_of(found)) for found in manifests.objects}
    assert {kind for kind, phase in phases if phase == "migrate"} == {"Job"}
    assert {phase for kind, phase in phases if kind == "Job"} == {"migrate"}
    assert {phase for kind, phase in phases if kind in LATE} == {"serve"}
    assert {kind for kind, phase in phases if phase == "serve"} <= LATE
    assert {phase for _, phase in phases} == {"platform", "migrate", "serve"}
