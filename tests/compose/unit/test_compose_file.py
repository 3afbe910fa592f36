"""docker-compose.yml says nothing that a service does not know, and keeps each process closed."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis.settings import ServiceSettings
from deployments.settings import DeploymentsSettings
from gateway_ingest.settings import IngestSettings
from ledger.settings import LedgerSettings
from payments_api.settings import PaymentsApiSettings

ROOT = Path(__file__).resolve().parents[3]
SERVICES: dict[str, type[ServiceSettings]] = {
    settings.service: settings
    for settings in (DeploymentsSettings, IngestSettings, LedgerSettings, PaymentsApiSettings)
}
OURS = [*SERVICES, "grid-simulator", "demo-gateway"]
ONCE = ["topics", *(f"migrate-{service}" for service in SERVICES)]
PLAIN = {*SERVICES, *ONCE, "grid-simulator", "postgres", "kafka"}
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+):?-(?P<default>[^}]*)\}")
SET_UP = ("payments-api", "gateway-ingest")
"""The services that gateways, rates and mail are set up at."""
GIVEN = {"HOST", "PORT", "MARKETPLACE_CONFIG", "MIGRATION_DATABASE_URL"}
"""By the image, or to the migration alone."""
OF_THE_LAUNCHER = {"BANK_DEMO_URL", "CRYPTO_DEMO_URL"}
"""Pages that need tokens which the demo gateway's container is not given."""


@cache
def composition() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def process(name: str) -> dict[str, Any]:
    found: dict[str, Any] = composition()["services"][name]
    return found


def by_default(text: Any) -> str:
    """What compose makes of a value when no variable is set."""
    return VARIABLE.sub(lambda variable: variable["default"], str(text))


def environment(name: str) -> dict[str, str]:
    return {variable: by_default(value) for variable, value in process(name)["environment"].items()}


def by_image(service: str) -> dict[str, str]:
    """The settings that its image gives a service."""
    recipe = (ROOT / "services" / service / "Dockerfile").read_text()
    return dict(re.findall(r"\b(HOST|PORT)=(\S+)", recipe))


def test_plain_up_starts_what_the_main_job_needs() -> None:
    plain = {name for name, told in composition()["services"].items() if not told.get("profiles")}
    assert plain == PLAIN


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_told_what_it_knows_and_all_that_it_needs(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name.upper() for name in SERVICES[service].model_fields}
    told = environment(service)
    assert set(told) - known == set()
    assert "MIGRATION_DATABASE_URL" not in told
    for name, value in {**told, **by_image(service)}.items():
        monkeypatch.setenv(name, value)
    assert SERVICES[service]().host == "0.0.0.0"  # noqa: S104 - a container's


@pytest.mark.parametrize("service", SET_UP)
def test_every_setting_reaches_its_service_by_its_own_name(service: str) -> None:
    told = process(service)["environment"]
    needed = {name.upper() for name in SERVICES[service].model_fields} - GIVEN - OF_THE_LAUNCHER
    assert needed - set(told) == set()
    named = {name: VARIABLE.fullmatch(str(told[name])) for name in needed}
    assert [name for name, variable in named.items() if variable is not None and variable["name"] != name] == []
    # What is made of something else: where the other containers are, and how a browser reaches one.
    made = {"DATABASE_URL", "BUS_URL", "LEDGER_URL", "GATEWAY_INGEST_URL", "DEMO_GATEWAY_URL"}
    assert {name for name, variable in named.items() if variable is None} == made & needed


@pytest.mark.parametrize("service", SET_UP)
def test_a_gateway_has_no_setting_that_nobody_made(service: str) -> None:
    """An empty variable counts as not set: what is offered without settings is offered in demo mode only."""
    by_itself = {"STRIPE_WEBHOOK_SECRET", "SMTP_HOST", "SMTP_PORT", "SMTP_TLS"}
    of_gateways = ("STRIPE_", "CLICKPESA_", "BANK_", "CRYPTO_", "SMTP_", "RATE_", "FIXED_RATES", "ADMIN_TOKEN")
    told = {name: value for name, value in environment(service).items() if name.startswith(of_gateways)}
    assert len(told) > 15
    assert {name: value for name, value in told.items() if value and name not in by_itself} == {}


def test_nobody_is_given_money_that_nobody_paid() -> None:
    """People sign in by a name, since there is no other sign-in yet; that gives them nothing."""
    assert {service: environment(service)["DEMO_PAYMENT"] for service in SERVICES} == dict.fromkeys(SERVICES, "false")
    assert environment("payments-api")["DEMO_SIGN_IN"] == "true"


def test_mail_goes_to_mailpit_unless_another_server_is_named() -> None:
    told = environment("payments-api")
    assert told["SMTP_HOST"] in composition()["services"]
    assert (told["SMTP_HOST"], told["SMTP_PORT"], told["SMTP_TLS"]) == ("mailpit", "1025", "none")
    # An empty SMTP_HOST is a wish: no mail.
    assert process("payments-api")["environment"]["SMTP_HOST"] == "${SMTP_HOST-mailpit}"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_as_its_app_and_is_migrated_by_its_owner(service: str) -> None:
    database = service.replace("-", "_")
    migrating = environment(f"migrate-{service}")
    assert f"//{database}_app:" in environment(service)["DATABASE_URL"]
    assert f"//{database}_owner:" in migrating["MIGRATION_DATABASE_URL"]
    assert environment(service)["DATABASE_URL"].endswith(f"@postgres/{database}")
    assert migrating["MIGRATION_DATABASE_URL"].endswith(f"@postgres/{database}")
    assert process(service)["depends_on"][f"migrate-{service}"]["condition"] == "service_completed_successfully"
    assert process(service)["depends_on"]["topics"]["condition"] == "service_completed_successfully"


@pytest.mark.parametrize("service", SERVICES)
def test_the_port_is_the_services_own(service: str) -> None:
    port = by_image(service)["PORT"]
    own = SERVICES[service].model_fields["port"]
    assert own.is_required() or own.default == int(port)
    assert f"EXPOSE {port}\n" in (ROOT / "services" / service / "Dockerfile").read_text()
    assert [by_default(published) for published in process(service)["ports"]] == [f"127.0.0.1:{port}:{port}"]


@pytest.mark.parametrize("name", [*OURS, *ONCE])
def test_our_processes_are_closed(name: str) -> None:
    told = process(name)
    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert told["tmpfs"] == ["/tmp"]  # noqa: S108 - the container's own


@pytest.mark.parametrize("folder", [*(f"services/{service}" for service in SERVICES), "shared/embedded"])
def test_an_image_runs_as_nobody_and_says_how_it_is(folder: str) -> None:
    final = (ROOT / folder / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    user = re.search(r"^USER (\d+):(\d+)$", final, re.MULTILINE)
    assert user is not None
    assert min(int(user[1]), int(user[2])) >= 10_000
    assert "HEALTHCHECK" in final
    assert "/healthz" in final
    assert "apt-get" not in final


def test_ports_are_published_on_this_machine_only() -> None:
    ports = [port for told in composition()["services"].values() for port in told.get("ports", [])]
    assert len(ports) > 5
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_secret_can_be_set_and_says_what_it_is() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    settable = [match for match in VARIABLE.finditer(text) if "development" in match["default"]]
    assert len(settable) > 20
    assert len(re.findall(r"development[-_]only", VARIABLE.sub("", text))) == 0
    secret = {match["name"]: match["default"] for match in VARIABLE.finditer(text) if is_secret(match["name"])}
    told = {name: default for name, default in secret.items() if default and name != "RAW_EVENT_KEY"}
    assert [name for name, default in told.items() if "development" not in default] == []
    # What opens a door to somebody else's house has no default at all.
    assert {"STRIPE_SECRET_KEY", "CLICKPESA_API_SECRET", "SMTP_PASSWORD", "ADMIN_TOKEN"} <= set(secret) - set(told)


def is_secret(variable: str) -> bool:
    return variable.endswith(("PASSWORD", "SECRET", "TOKEN", "KEY"))


def test_the_databases_passwords_are_those_that_the_services_use() -> None:
    made = process("postgres")["environment"]
    for service in SERVICES:
        prefix = service.replace("-", "_").upper()
        app, owner = made[f"{prefix}_APP_PASSWORD"], made[f"{prefix}_OWNER_PASSWORD"]
        assert f":{app}@" in process(service)["environment"]["DATABASE_URL"]
        assert f":{owner}@" in process(f"migrate-{service}")["environment"]["MIGRATION_DATABASE_URL"]


def test_images_that_are_not_ours_are_public_pinned_and_can_be_replaced() -> None:
    for name, told in composition()["services"].items():
        image = VARIABLE.fullmatch(told["image"])
        assert image is not None, name
        assert image["name"].endswith("_IMAGE"), name
        assert ("build" in told or name in ONCE or name == "demo-gateway") == image["default"].startswith("gridledger/")
        if not image["default"].startswith("gridledger/"):
            assert not image["default"].endswith(":latest"), name
            assert ":" in image["default"], name


def test_images_of_ours_are_never_asked_of_a_registry_unless_it_is_said_whose_they_are() -> None:
    services = composition()["services"]
    ours = {name for name, told in services.items() if by_default(told["image"]).startswith("gridledger/")}
    assert ours == {*OURS, *ONCE}
    said = {name: told["pull_policy"] for name, told in services.items() if "pull_policy" in told}
    assert said == dict.fromkeys(ours, "${OUR_IMAGES_PULL_POLICY:-never}")


def test_topics_are_made_by_us_and_never_by_accident() -> None:
    assert process("kafka")["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert process("topics")["entrypoint"][:3] == ["python", "-m", "chassis.topics"]
