"""Every variable that a manifest names is a setting of its service, which takes the value; none is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from chassis.settings import load
from contracts.topics import PARTITIONS

pytestmark = pytest.mark.manifests

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("gateway-ingest", "ledger", "deployments", "payments-api")
TEMPLATE = re.compile(r"\{\{ *\.(\w+)( *\| *urlquery)? *\}\}")
OPTIONAL = re.compile(r'\{\{ index \. "(\w+)" \}\}')
"""What may be missing in the store: ``index`` makes it empty, where a field that is missing is an error."""
SWITCHES = {
    "payments-api": {
        "CLICKPESA_CLIENT_ID": "client",
        "CLICKPESA_API_SECRET": "key",
        "CLICKPESA_WEBHOOK_SECRET": "CHKexample",
        "BANK_NAME": "Bank of Examples",
        "BANK_ACCOUNT_NAME": "Gridledger Ltd",
        "BANK_ACCOUNT_NUMBER": "DE02120300000000202051",
        "BANK_SWIFT_CODE": "BYLADEM1001",
        "CRYPTO_EVM_XPUB": "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZa"
        "M6si3yZdUsT8ddYM3PwnATt",
        "CRYPTO_NETWORKS": "ethereum",
        "SMTP_HOST": "mail.example.com",
        "SMTP_USER": "gridledger",
        "SMTP_PASSWORD": "example",
        "MAIL_FROM": "Gridledger <billing@example.com>",
    },
    "gateway-ingest": {
        "CLICKPESA_CLIENT_ID": "client",
        "CLICKPESA_API_SECRET": "key",
        "CRYPTO_ETHEREUM_RPC_URL": "https://user:password@node.example.com",
    },
}
"""Service → what an operator writes into the store, to switch gateways and mail on."""
CA_FILES = {
    "/etc/gridledger/kafka/ca.crt": "gridledger-cluster-ca-cert",
    "/etc/gridledger/postgres/ca.crt": "postgres-ca",
}


def told(manifests: Any, service: str) -> list[dict[str, str]]:
    """What the service is told, and what its migration is."""
    pods = dict(manifests.pods())
    return [manifests.environment(pods[service]), manifests.environment(pods[f"{service}-migration"])]


def filled_in(environment: Mapping[str, str], optional: Mapping[str, str] | None = None) -> dict[str, str]:
    """With something in the place of every secret; of those that may be missing, only ``optional``."""
    stored = {name.lower(): value for name, value in (optional or {}).items()}
    example = {"raw_event_key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
    known = {name: OPTIONAL.sub(lambda found: stored.get(found[1], ""), value) for name, value in environment.items()}
    return {
        name: TEMPLATE.sub(lambda found: example.get(found[1], f"example-{found[1]}"), value)
        for name, value in known.items()
    }


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_is_a_setting(manifests: Any, service: str, settings_of: Any) -> None:
    known = {name.upper() for name in settings_of(service).model_fields}
    for environment in told(manifests, service):
        assert set(environment) - known == set()


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_that_is_needed_is_given(manifests: Any, service: str, settings_of: Any) -> None:
    needed = {name.upper() for name, field in settings_of(service).model_fields.items() if field.is_required()}
    assert {"DATABASE_URL", "BUS_URL", "SERVICE_TOKEN"} <= needed
    for environment in told(manifests, service):
        assert needed - set(environment) == set()


@pytest.mark.parametrize("service", SERVICES)
def test_the_service_takes_what_it_is_told(
    manifests: Any, service: str, settings_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for environment in told(manifests, service):
        for name in settings_of(service).model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in filled_in(environment).items():
            monkeypatch.setenv(name, value)
        settings = load(settings_of(service))
        assert settings.host == "0.0.0.0"  # noqa: S104 - other pods must reach it
        assert settings.log_format == "json"


@pytest.mark.parametrize("service", SWITCHES)
def test_gateways_and_mail_are_switched_on_by_the_store_alone(
    manifests: Any, service: str, settings_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = told(manifests, service)[0]
    assert {name for name, value in serving.items() if OPTIONAL.fullmatch(value)} >= set(SWITCHES[service])
    for name, value in serving.items():
        optional = OPTIONAL.fullmatch(value)
        assert optional is None or optional[1] == name.lower()
    for name, value in filled_in(serving, SWITCHES[service]).items():
        monkeypatch.setenv(name, value)
    settings = load(settings_of(service))
    for name, value in SWITCHES[service].items():
        taken = getattr(settings, name.lower())
        assert value == (taken.get_secret_value() if isinstance(taken, SecretStr) else taken)


def test_nothing_of_a_gateway_is_on_before_the_store_has_it(
    manifests: Any, settings_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for service, switches in SWITCHES.items():
        for name, value in filled_in(told(manifests, service)[0]).items():
            monkeypatch.setenv(name, value)
        settings = load(settings_of(service))
        off = {name: getattr(settings, name.lower()) for name in switches}
        assert {name for name, value in off.items() if value not in (None, "")} == set()


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_migration_knows_the_owner(manifests: Any, service: str) -> None:
    serving, migrating = told(manifests, service)
    database = service.replace("-", "_")
    assert "MIGRATION_DATABASE_URL" not in serving
    assert "_owner" not in json.dumps(serving)
    for url, role in ((serving["DATABASE_URL"], "app"), (migrating["MIGRATION_DATABASE_URL"], "owner")):
        assert url.startswith(
            f"postgresql://{database}_{role}:{{{{ .database_password | urlquery }}}}@postgres-rw:5432/"
        )
        assert f"/{database}?sslmode=verify-full&sslrootcert=/etc/gridledger/postgres/ca.crt" in url


@pytest.mark.parametrize("service", SERVICES)
def test_the_bus_is_spoken_to_by_its_own_user_over_tls(manifests: Any, service: str) -> None:
    (kafka,) = manifests.of("Kafka").values()
    (listener,) = kafka["spec"]["kafka"]["listeners"]
    address = f"{kafka['metadata']['name']}-kafka-bootstrap:{listener['port']}"
    parameters = "tls=true&ca_file=/etc/gridledger/kafka/ca.crt"
    assert told(manifests, service)[0]["BUS_URL"] == (
        f"kafka://{service}:{{{{ .kafka_password | urlquery }}}}@{address}?{parameters}"
    )
    assert (listener["tls"], listener["authentication"]) == (True, {"type": "scram-sha-512"})


def test_files_that_settings_name_are_mounted(manifests: Any) -> None:
    for name, pod in manifests.pods():
        named = " ".join(manifests.environment(pod).values())
        mounts = {mount["mountPath"]: mount["name"] for mount in pod["spec"]["containers"][0].get("volumeMounts", ())}
        secrets = {
            volume["name"]: volume["secret"]["secretName"]
            for volume in pod["spec"].get("volumes", ())
            if "secret" in volume
        }
        for file, secret in CA_FILES.items():
            # Neither needs a bus: they are told of it only because the settings are one class.
            needs_no_bus = name.endswith("-migration") or "-reconcile" in name
            if file in named and not (needs_no_bus and "kafka" in file):
                assert secrets[mounts[str(Path(file).parent)]] == secret, name


def test_the_cluster_sells_what_the_file_says(manifests: Any) -> None:
    (name, found), *others = [
        (name, found) for name, found in manifests.of("ConfigMap").items() if name.startswith("marketplace-")
    ]
    assert others == []
    assert found["data"] == {"marketplace.toml": (ROOT / "config" / "marketplace.toml").read_text()}
    for service in SERVICES:
        pod = dict(manifests.pods())[service]["spec"]
        (volume,) = [volume for volume in pod["volumes"] if volume.get("configMap", {}).get("name") == name]
        (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == volume["name"]]
        said = told(manifests, service)[0].get("MARKETPLACE_CONFIG", f"{mount['mountPath']}/marketplace.toml")
        assert said == f"{mount['mountPath']}/marketplace.toml"


def test_secrets_come_from_the_store_and_are_each_service_s_own(manifests: Any) -> None:
    assert manifests.of("Secret") == {}
    allowed = {
        service: {f"gridledger/{service}/runtime", "gridledger/service-token", "gridledger/demo"}
        for service in SERVICES
    }
    for name, found in manifests.of("ExternalSecret").items():
        assert found["spec"]["secretStoreRef"] == {"kind": "SecretStore", "name": "secrets"}, name
        keys = {source["extract"]["key"] for source in found["spec"]["dataFrom"]}
        for service in SERVICES:
            if name == f"{service}-settings":
                assert keys <= allowed[service], name
            elif name in (f"{service}-migration", f"{service}-owner-role"):
                assert keys == {f"gridledger/{service}/owner"}, name
            elif name in (f"{service}-kafka", f"{service}-app-role"):
                assert keys == {f"gridledger/{service}/runtime"}, name


def test_the_dev_store_holds_every_key_that_is_asked_for(dev: Any) -> None:
    store = {
        entry["key"]: json.loads(entry["value"])
        for entry in dev.of("SecretStore")["secrets"]["spec"]["provider"]["fake"]["data"]
    }
    for name, found in dev.of("ExternalSecret").items():
        values: dict[str, str] = {}
        for source in found["spec"]["dataFrom"]:
            values |= store[source["extract"]["key"]]
        asked = {
            match[1]
            for value in found["spec"]["target"]["template"]["data"].values()
            for match in TEMPLATE.finditer(value)
        }
        assert asked - set(values) == set(), name
        assert asked, name


def test_nobody_pays_with_play_money_in_production(production: Any) -> None:
    assert not re.search(r"DEMO|fake:|dev-only", production.text)


def test_payers_of_production_come_back_to_the_site(production: Any) -> None:
    site = told(production, "payments-api")[0]["FRONTEND_URL"]
    hosts = {rule["host"] for door in production.of("Ingress").values() for rule in door["spec"]["rules"]}
    assert site in {f"https://{host}/" for host in hosts}


def test_production_names_no_place_that_was_left_open(production: Any) -> None:
    assert "of-the-site" not in production.text
    assert len(PARTITIONS) == len(production.of("KafkaTopic"))
