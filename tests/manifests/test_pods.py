"""What runs, runs with the least rights, is looked after by the service's own answers, and ends in its own time."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from chassis import runtime
from embedded.stack_settings import PORTS

pytestmark = pytest.mark.manifests

SERVICES = ("gateway-ingest", "ledger", "deployments", "payments-api")
PINNED = re.compile(r"gridledger/[a-z-]+(:\d+\.\d+\.\d+|@sha256:[0-9a-f]{64})")


def containers(manifests: Any) -> list[tuple[str, Any]]:
    return [(name, container) for name, pod in manifests.pods() for container in pod["spec"]["containers"]]


def services(manifests: Any) -> dict[str, Any]:
    return {name: manifests.of("Deployment")[name] for name in SERVICES}


def test_the_namespace_refuses_what_is_not_restricted(manifests: Any) -> None:
    (namespace,) = manifests.of("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    named = {found["metadata"].get("namespace") for found in manifests.objects if found["kind"] != "Namespace"}
    assert named == {namespace["metadata"]["name"]}


def test_pods_have_the_least_rights(manifests: Any) -> None:
    for name, pod in manifests.pods():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["serviceAccountName"] in manifests.of("ServiceAccount"), name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] >= 10_000, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec), name
        assert {next(iter(set(volume) - {"name"})) for volume in spec.get("volumes", ())} <= {
            "configMap", "secret", "emptyDir", "persistentVolumeClaim",
        }  # fmt: skip
    accounts = manifests.of("ServiceAccount").values()
    assert {account["automountServiceAccountToken"] for account in accounts} == {False}


def test_containers_have_the_least_rights_and_a_limit(manifests: Any) -> None:
    assert len(containers(manifests)) >= 8
    for name, container in containers(manifests):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        for kind in ("requests", "limits"):
            assert set(container["resources"][kind]) == {"cpu", "memory"}, name


def test_kafka_and_its_operators_keep_to_the_restricted_standard(manifests: Any) -> None:
    (kafka,), (pool,) = manifests.of("Kafka").values(), manifests.of("KafkaNodePool").values()
    entities = kafka["spec"]["entityOperator"]["template"]
    inside = [entities["topicOperatorContainer"], entities["userOperatorContainer"]]
    inside += [pool["spec"]["template"]["kafkaContainer"], pool["spec"]["template"]["initContainer"]]
    for container in inside:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    for template in (entities, pool["spec"]["template"]):
        assert template["pod"]["securityContext"]["runAsNonRoot"] is True
        assert template["pod"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_the_ca_s_key_is_not_shown_to_pods(manifests: Any) -> None:
    for name, pod in manifests.pods():
        for volume in pod["spec"].get("volumes", ()):
            if volume.get("secret", {}).get("secretName", "").endswith(("-ca", "-ca-cert")):
                assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}], name


def test_ports_are_the_code_s(manifests: Any, settings_of: Any) -> None:
    for name, deployment in services(manifests).items():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        port = PORTS[name][1]
        assert settings_of(name).model_fields["port"].default in (port, PydanticUndefined), name
        assert container["ports"] == [{"name": "http", "containerPort": port}], name
        assert manifests.environment(deployment["spec"]["template"])["PORT"] == str(port), name
        assert manifests.of("Service")[name]["spec"]["ports"] == [{"name": "http", "port": port, "targetPort": "http"}]
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        assert annotations == {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}


def test_a_database_that_is_away_restarts_nobody(manifests: Any) -> None:
    for name, container in containers(manifests):
        if container["name"] in ("migrate", "reconcile"):
            continue
        asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert {kind: probe["path"] for kind, probe in asked.items()} == {
            "startup": "/healthz",
            "liveness": "/healthz",
            "readiness": "/readyz",
        }, name
        assert {probe["port"] for probe in asked.values()} == {"http"}


def test_a_pod_is_given_the_time_to_drain(manifests: Any) -> None:
    for name, deployment in services(manifests).items():
        pod = deployment["spec"]["template"]["spec"]
        pause_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        needed_s = pause_s + runtime.DRAIN_S + runtime.CANCEL_GRACE_S
        assert needed_s < pod["terminationGracePeriodSeconds"] < 2 * needed_s, name


def test_a_rollout_takes_nothing_away_before_the_new_one_answers(manifests: Any) -> None:
    for name, deployment in services(manifests).items():
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}, name
        assert "replicas" not in deployment["spec"], f"{name}: whoever scales it decides"


def test_replicas_are_spread_among_their_own(manifests: Any) -> None:
    for name, deployment in services(manifests).items():
        spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
        for one in spread:
            assert (
                one["labelSelector"]["matchLabels"].items()
                <= deployment["spec"]["template"]["metadata"]["labels"].items()
            )
            assert "app.kubernetes.io/name" in one["matchLabelKeys"], name


def test_everything_that_selects_finds_its_pods(manifests: Any) -> None:
    labels = [pod["metadata"]["labels"] for _, pod in manifests.pods()]
    selectors = [(name, found["spec"]["selector"]) for name, found in manifests.of("Service").items()]
    selectors += [
        (name, found["spec"]["selector"]["matchLabels"])
        for kind in ("Deployment", "PodDisruptionBudget")
        for name, found in manifests.of(kind).items()
    ]
    for name, selector in selectors:
        assert sum(selector.items() <= candidate.items() for candidate in labels) == 1, name


def test_a_node_can_be_drained_and_a_service_stays(manifests: Any, production: Any) -> None:
    budgets = manifests.of("PodDisruptionBudget")
    assert set(budgets) == set(SERVICES)
    assert {budget["spec"].get("maxUnavailable") for budget in budgets.values()} == {1}
    least = {name: scaler["spec"]["minReplicaCount"] for name, scaler in production.of("ScaledObject").items()}
    least |= {name: scaler["spec"]["minReplicas"] for name, scaler in production.of("HorizontalPodAutoscaler").items()}
    assert set(least) == set(SERVICES)
    assert min(least.values()) >= 2


def test_production_runs_a_version_that_does_not_change(production: Any) -> None:
    images = {container["image"] for _, container in containers(production)}
    assert len(images) == len(SERVICES)
    assert [image for image in images if not PINNED.fullmatch(image)] == []
    assert "simulator" not in production.text


def test_migration_and_service_are_of_one_image(manifests: Any) -> None:
    for name, deployment in services(manifests).items():
        (serving,) = deployment["spec"]["template"]["spec"]["containers"]
        (migrating,) = manifests.of("Job")[f"{name}-migration"]["spec"]["template"]["spec"]["containers"]
        assert (serving["image"], serving["args"], migrating["args"]) == (migrating["image"], ["serve"], ["migrate"])
