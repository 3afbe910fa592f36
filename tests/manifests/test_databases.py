"""PostgreSQL in the cluster is what the design says: a database and two roles a service, and connections for all."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.bootstrap import POOL_SPARE
from deployments.settings import DeploymentsSettings
from embedded.programs import SERVICES
from gateway_ingest.bootstrap import POOL_MAX_CONNECTIONS as INGEST_POOL
from ledger.bootstrap import POOL_MAX as LEDGER_POOL
from payments_api.bootstrap import POOL_MAX_CONNECTIONS as PAYMENTS_API_POOL

pytestmark = pytest.mark.manifests

RESERVED_CONNECTIONS = 30
"""For PostgreSQL's own superusers, replication, CloudNativePG and an operator's shell."""


def cluster(manifests: Any) -> Any:
    (found,) = manifests.of("Cluster", "postgresql.cnpg.io/").values()
    return found["spec"]


def pools() -> dict[str, int]:
    """The most connections of one process of each service."""
    workers = DeploymentsSettings.model_fields["worker_concurrency"].default
    return {
        "gateway-ingest": INGEST_POOL,
        "ledger": LEDGER_POOL,
        "deployments": workers + POOL_SPARE,
        "payments-api": PAYMENTS_API_POOL,
    }


def test_each_service_has_its_database_owned_by_who_migrates_it(manifests: Any) -> None:
    databases = {name: found["spec"] for name, found in manifests.of("Database").items()}
    assert {name: (spec["name"], spec["owner"]) for name, spec in databases.items()} == {
        service: (module, f"{module}_owner") for service, module in SERVICES.items()
    }
    for spec in databases.values():
        assert spec["cluster"] == {"name": "postgres"}
        assert spec["databaseReclaimPolicy"] == "retain"
        assert (spec["encoding"], spec["localeCollate"], spec["localeCType"]) == ("UTF8", "C", "C")


def test_roles_can_log_in_and_do_nothing_else(manifests: Any) -> None:
    roles = {role["name"]: role for role in cluster(manifests)["managed"]["roles"]}
    assert set(roles) == {f"{module}_{kind}" for module in SERVICES.values() for kind in ("owner", "app")}
    for name, role in roles.items():
        assert set(role) == {"name", "ensure", "login", "passwordSecret"}, name
        secret = role["passwordSecret"]["name"]
        assert manifests.secret(secret) == {"username": name, "password": "{{ .database_password }}"}
        template = manifests.of("ExternalSecret")[secret]["spec"]["target"]["template"]
        assert template["type"] == "kubernetes.io/basic-auth"
        assert template["metadata"]["labels"] == {"cnpg.io/reload": "true"}
    assert cluster(manifests)["enableSuperuserAccess"] is False


def test_a_role_reaches_its_own_database_and_no_other(manifests: Any) -> None:
    rules = cluster(manifests)["postgresql"]["pg_hba"]
    own = [f"hostssl {module} {module}_owner,{module}_app all scram-sha-256" for module in SERVICES.values()]
    assert sorted(rules[:-1]) == sorted(own)
    assert rules[-1] == "host all all all reject"


def test_there_are_connections_for_the_most_replicas(production: Any) -> None:
    most = {name: scaler["spec"]["maxReplicaCount"] for name, scaler in production.of("ScaledObject").items()}
    most |= {name: scaler["spec"]["maxReplicas"] for name, scaler in production.of("HorizontalPodAutoscaler").items()}
    # While a new version comes, one more of each; and each migration.
    needed = sum((most[service] + 1) * pool + 1 for service, pool in pools().items())
    given = int(cluster(production)["postgresql"]["parameters"]["max_connections"])
    assert needed + RESERVED_CONNECTIONS <= given


def test_production_outlives_a_server(production: Any) -> None:
    spec = cluster(production)
    assert spec["instances"] == 3
    assert spec["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
    assert spec["affinity"]["topologyKey"] == "topology.kubernetes.io/zone"


def test_production_can_be_restored(production: Any) -> None:
    (store,) = production.of("ObjectStore")
    (plugin,) = cluster(production)["plugins"]
    assert plugin["isWALArchiver"] is True
    assert plugin["parameters"] == {"barmanObjectName": store}
    (nightly,) = production.of("ScheduledBackup").values()
    assert nightly["spec"]["pluginConfiguration"] == {"name": plugin["name"]}
    assert nightly["spec"]["cluster"] == {"name": "postgres"}
    assert production.of("ObjectStore")[store]["spec"]["configuration"]["destinationPath"].startswith("s3://")


def test_dev_waits_for_no_second_server(dev: Any) -> None:
    assert cluster(dev)["instances"] == 1
    assert "synchronous" not in cluster(dev)["postgresql"]


def test_our_sql_s_version_runs(manifests: Any) -> None:
    assert cluster(manifests)["imageCatalogRef"]["major"] >= 17
