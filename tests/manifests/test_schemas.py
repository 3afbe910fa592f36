"""Every object against the schema that its cluster would hold it to: Kubernetes' own, and those of the operators."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

pytestmark = [pytest.mark.manifests, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
FETCH = ROOT / "deploy" / "tools" / "fetch_schemas.py"
NOT_TO_BE_HAD = 3
FAULTS = {
    "a field that nobody knows": ("terminationGracePeriodSeconds:", "terminationGracePeriod:"),
    "words where a number belongs": ("partitions: 12", "partitions: twelve"),
    "a choice that does not exist": ("databaseReclaimPolicy: retain", "databaseReclaimPolicy: keep"),
    "an unknown field of a Kafka user": ("operations:", "operation:"),
    "an unknown field of a node pool": ("deleteClaim:", "deleteClaims:"),
    "an unknown field of a scaler": ("pollingInterval:", "pollingEvery:"),
    "an unknown field of a secret": ("secretStoreRef:", "secretStore:"),
    "a kind that nobody knows": ("kind: KafkaTopic", "kind: KafkaTopics"),
    "a version that is not served": ("keda.sh/v1alpha1", "keda.sh/v1alpha9"),
}


@pytest.fixture(scope="session")
def checker(say_missing: Callable[[str], NoReturn]) -> Path:
    """The folder of kubeconform and the schemas."""
    done = subprocess.run([sys.executable, str(FETCH)], capture_output=True, text=True, check=False, timeout=800)
    if done.returncode == NOT_TO_BE_HAD:
        say_missing(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def faults(checker: Path, text: str) -> list[str]:
    """What kubeconform finds wrong, an object a line; empty when all is well and everything was looked at."""
    location = f"{checker}/schemas/{{{{.Group}}}}_{{{{.ResourceAPIVersion}}}}_{{{{.ResourceKind}}}}.json"
    done = subprocess.run(
        [str(checker / "kubeconform"), "-strict", "-output", "json", "-summary", "-schema-location", location, "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    answer = json.loads(done.stdout)
    summary = answer["summary"]
    assert summary["valid"] + summary["invalid"] + summary["errors"] == text.count("\nkind: "), summary
    assert summary["skipped"] == 0, summary
    return [f"{fault['kind']} {fault['name']}: {fault['msg']}" for fault in answer.get("resources") or []]


def test_every_object_is_what_its_schema_says(checker: Path, manifests: Any) -> None:
    assert faults(checker, manifests.text) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(checker: Path, production: Any, fault: str) -> None:
    before, after = FAULTS[fault]
    assert before in production.text
    assert faults(checker, production.text.replace(before, after, 1)) != []
