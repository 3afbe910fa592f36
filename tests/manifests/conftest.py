"""The overlays as kubectl renders them, and who in them is told what.

Nothing in here talks to a cluster. What is not on this machine is skipped by name, and fails in CI.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from chassis.settings import ServiceSettings
from testkit.registry_programs import ProgramMissing, go_built

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy" / "k8s"
KUBECTL = ROOT / ".ci" / "kubectl"
OVERLAYS = ("dev", "production")
SERVICES = ("gateway-ingest", "ledger", "deployments", "payments-api")
RENDER_TIMEOUT_S = 60
FIRST_TIMEOUT_S = 900
"""For whichever test is the first: it may build what all need."""

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Manifests:
    """One overlay, rendered."""

    overlay: str
    text: str = field(repr=False)

    @cached_property
    def objects(self) -> Sequence[Object]:
        return [found for found in yaml.safe_load_all(self.text) if found is not None]

    def of(self, kind: str, api: str = "") -> dict[str, Object]:
        """Name → object, of one kind (and group, where two share a kind's name)."""
        return {
            found["metadata"]["name"]: found
            for found in self.objects
            if found["kind"] == kind and found["apiVersion"].startswith(api)
        }

    def pods(self) -> Iterator[tuple[str, Object]]:
        """(name of the Deployment, Job or CronJob, its pod template)."""
        for kind in ("Deployment", "Job"):
            for name, found in self.of(kind).items():
                yield name, found["spec"]["template"]
        for name, found in self.of("CronJob").items():
            yield name, found["spec"]["jobTemplate"]["spec"]["template"]

    def secret(self, name: str) -> Mapping[str, str]:
        """What External Secrets writes into the Secret: key → template."""
        return self.of("ExternalSecret")[name]["spec"]["target"]["template"]["data"]

    def environment(self, template: Object) -> dict[str, str]:
        """What the one container of a pod is told: variable → value, or the template of the secret."""
        (container,) = template["spec"]["containers"]
        told: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            if "configMapRef" in source:
                told |= self.of("ConfigMap")[source["configMapRef"]["name"]]["data"]
            else:
                told |= self.secret(source["secretRef"]["name"])
        for variable in container.get("env", ()):
            told[variable["name"]] = variable.get("value") or self._referred(variable["valueFrom"]["secretKeyRef"])
        return told

    def _referred(self, reference: Object) -> str:
        return self.secret(reference["name"])[reference["key"]]


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.get_closest_marker("timeout") is None:
        item.add_marker(pytest.mark.timeout(FIRST_TIMEOUT_S))


def missing(what: str) -> NoReturn:
    """Skip by name; in CI nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}; CI must have it")
    pytest.skip(what)


@pytest.fixture(scope="session")
def kubectl() -> Path:
    """This machine's, else one that Go builds of Kubernetes' own library; it may know no command but ``kustomize``."""
    installed = shutil.which("kubectl")
    if installed is not None:
        return Path(installed)
    try:
        return go_built(KUBECTL)
    except ProgramMissing as reason:
        missing(f"kubectl is not on this machine: {reason}")


@pytest.fixture(scope="session", params=OVERLAYS)
def manifests(request: pytest.FixtureRequest, kubectl: Path) -> Manifests:
    """Each overlay in its turn."""
    return rendered(kubectl, request.param)


@pytest.fixture(scope="session")
def production(kubectl: Path) -> Manifests:
    return rendered(kubectl, "production")


@pytest.fixture(scope="session")
def dev(kubectl: Path) -> Manifests:
    return rendered(kubectl, "dev")


def rendered(kubectl: Path, overlay: str) -> Manifests:
    """What ``kubectl apply --kustomize`` would apply."""
    done = subprocess.run(
        [str(kubectl), "kustomize", str(K8S / "overlays" / overlay)],
        capture_output=True,
        text=True,
        check=False,
        timeout=RENDER_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return Manifests(overlay, done.stdout)


@pytest.fixture(scope="session")
def say_missing() -> Any:
    """For what a test needs beside kubectl."""
    return missing


@pytest.fixture(scope="session")
def settings_of() -> Callable[[str], type[ServiceSettings]]:
    """Service → its settings class."""
    return settings_class


def settings_class(service: str) -> type[ServiceSettings]:
    """The one subclass that the service's settings module defines."""
    module = importlib.import_module(f"{service.replace('-', '_')}.settings")
    (found,) = {
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ServiceSettings) and value.__module__ == module.__name__
    }
    return found
