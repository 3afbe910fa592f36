"""Which processes the stack consists of, what each is told by its environment, and in which order they end."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from embedded.gateway_simulators import BANK_PATH, CLICKPESA_PATH, COINS_PATH, STRIPE_PATH
from embedded.kept_secrets import KeptSecrets
from embedded.ports import LOOPBACK
from embedded.provisioning import DatabaseAccess
from embedded.stack_settings import StackSettings

BUS = "bus"
KAFKA = "kafka"
SERVICES: Mapping[str, str] = {
    "gateway-ingest": "gateway_ingest",
    "ledger": "ledger",
    "deployments": "deployments",
    "payments-api": "payments_api",
}
"""Service → its import name, which is also its database's."""

ROLES = tuple(f"{database}_{kind}" for database in (*SERVICES.values(), BUS) for kind in ("owner", "app"))
STOP_ORDER = (("payments-api", "demo-gateway", "gateway-ingest"), ("deployments", "ledger"), ("grid-simulator",))
"""Who hears people and gateways ends first, whom they call ends later; the bus and PostgreSQL end last."""

UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
SIMULATORS_SECRETS = (
    "DEMO_WEBHOOK_SECRET",
    "STRIPE_WEBHOOK_SECRET",
    "CLICKPESA_WEBHOOK_SECRET",
    "ADMIN_TOKEN",
    "SERVICE_TOKEN",
)
"""What the demo gateway's process signs with, and shows where nothing is signed."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process: what to run, in which (whole) environment, and where (http or kafka) it says that it is ready."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    ready_url: str


def programs(
    settings: StackSettings, kept: KeptSecrets, environments: Mapping[str, Mapping[str, str]]
) -> tuple[Program, ...]:
    """All processes but PostgreSQL and the bus, simulators first. ``environments``: service → what it is told."""
    return (
        _grid_simulator(settings),
        *([_demo_gateway(settings, kept)] if settings.demo_payment else []),
        *(_service(settings, environments, service) for service in SERVICES),
    )


def service_environment(
    settings: StackSettings, kept: KeptSecrets, access: DatabaseAccess, bus_url: str, service: str
) -> dict[str, str]:
    """What a service is told beside what the launcher was; its ``migrate`` and operators' commands need it too."""
    return {
        **kept.variables,
        **UNBUFFERED,
        "DATABASE_URL": access.app_dsn,
        "MIGRATION_DATABASE_URL": access.owner_dsn,
        "BUS_URL": bus_url,
        "HOST": LOOPBACK,
        "PORT": str(settings.ports[service]),
        "LOG_FORMAT": settings.environment.get("LOG_FORMAT") or "console",
        "DEMO_PAYMENT": str(settings.demo_payment).lower(),
        "MARKETPLACE_CONFIG": str(settings.marketplace),
        "LEDGER_URL": settings.url("ledger"),
        "GATEWAY_INGEST_URL": settings.url("gateway-ingest"),
        "DEMO_GATEWAY_URL": settings.url("demo-gateway"),
        "GRID_URL": settings.url("grid-simulator"),
        **_simulated_gateways(settings),
    }


def _simulated_gateways(settings: StackSettings) -> dict[str, str]:
    """In demo mode a gateway without keys is the simulated one."""
    if not settings.demo_payment:
        return {}
    simulated = {
        ("STRIPE_SECRET_KEY",): ("STRIPE_API_BASE", STRIPE_PATH),
        ("CLICKPESA_API_SECRET",): ("CLICKPESA_BASE_URL", CLICKPESA_PATH),
        ("BANK_ACCOUNT_NUMBER",): ("BANK_DEMO_URL", BANK_PATH),
        ("CRYPTO_BTC_XPUB", "CRYPTO_EVM_XPUB"): ("CRYPTO_DEMO_URL", COINS_PATH),
    }
    return {
        variable: settings.url("demo-gateway") + path
        for keys, (variable, path) in simulated.items()
        if not any(settings.environment.get(key) for key in keys)
    }


def _service(settings: StackSettings, environments: Mapping[str, Mapping[str, str]], service: str) -> Program:
    return Program(
        name=service,
        arguments=(sys.executable, "-m", SERVICES[service], "serve"),
        environment={**settings.environment, **environments[service]},
        ready_url=f"{settings.url(service)}/readyz",
    )


def _grid_simulator(settings: StackSettings) -> Program:
    name = "grid-simulator"
    port, storage = str(settings.ports[name]), settings.data_dir / "grid.sqlite3"
    return Program(
        name=name,
        arguments=(sys.executable, "-m", "embedded.grid_simulator", "--port", port, "--storage", str(storage)),
        environment={**settings.environment, **UNBUFFERED},
        ready_url=f"{settings.url(name)}/readyz",
    )


def _demo_gateway(settings: StackSettings, kept: KeptSecrets) -> Program:
    name = "demo-gateway"
    return Program(
        name=name,
        arguments=(sys.executable, "-m", "embedded.demo_gateway"),
        environment={
            **settings.environment,
            **UNBUFFERED,
            **{name: kept.variables[name] for name in SIMULATORS_SECRETS},
            "GATEWAY_INGEST_URL": settings.url("gateway-ingest"),
            "PAYMENTS_API_URL": settings.url("payments-api"),
            "DEMO_GATEWAY_URL": settings.url(name),
            "DEMO_GATEWAY_PORT": str(settings.ports[name]),
        },
        ready_url=f"{settings.url(name)}/readyz",
    )
