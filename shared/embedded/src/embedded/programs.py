"""Which processes the stack consists of, and what each is told by its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from embedded.provisioning import DatabaseAccess
from embedded.stack_settings import LOOPBACK, StackSettings

BUS = "bus"
SERVICES: Mapping[str, str] = {
    "ledger": "LEDGER_PORT",
    "gateway_ingest": "GATEWAY_INGEST_PORT",
    "deployments": "DEPLOYMENTS_PORT",
    "payments_api": "PAYMENTS_API_PORT",
}
"""Import name, which is also the database's, and port variable of each service."""
DATABASES = (*SERVICES, BUS)
BUS_SESSION_TIMEOUT_S = 3
"""How long a killed service keeps its partitions: short, since only one of each runs here."""


@dataclass(frozen=True)
class Program:
    """A process: what to run, with which additions to the environment, and where it says that it is ready."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    ready_url: str


def programs(
    settings: StackSettings, secrets: Mapping[str, str], databases: Mapping[str, DatabaseAccess]
) -> list[Program]:
    """All processes, simulators first."""
    return [
        _simulator(settings),
        *([_demo_gateway(settings, secrets)] if settings.demo_payment else []),
        *(_service(settings, secrets, databases, name) for name in SERVICES),
    ]


def service_environment(
    settings: StackSettings, secrets: Mapping[str, str], databases: Mapping[str, DatabaseAccess], name: str
) -> dict[str, str]:
    """What a service is told; also what its ``migrate`` and operators' commands need."""
    bus_dsn = databases[BUS].app_dsn
    separator = "&" if "?" in bus_dsn else "?"
    return {
        **secrets,
        "DATABASE_URL": databases[name].app_dsn,
        "MIGRATION_DATABASE_URL": databases[name].owner_dsn,
        "BUS_URL": f"{bus_dsn}{separator}{urlencode({'session_timeout_s': BUS_SESSION_TIMEOUT_S})}",
        "HOST": LOOPBACK,
        "PORT": str(settings.ports[SERVICES[name]]),
        "LOG_FORMAT": os.environ.get("LOG_FORMAT") or "console",
        "DEMO_PAYMENT": str(settings.demo_payment).lower(),
        "MARKETPLACE_CONFIG": str(settings.marketplace),
        "LEDGER_URL": settings.url("LEDGER_PORT"),
        "GATEWAY_INGEST_URL": settings.url("GATEWAY_INGEST_PORT"),
        "DEMO_GATEWAY_URL": settings.url("DEMO_GATEWAY_PORT"),
        "GRID_URL": settings.url("GRID_SIMULATOR_PORT"),
    }


def _service(
    settings: StackSettings, secrets: Mapping[str, str], databases: Mapping[str, DatabaseAccess], name: str
) -> Program:
    return Program(
        name=name.replace("_", "-"),
        arguments=[sys.executable, "-m", name, "serve"],
        environment=service_environment(settings, secrets, databases, name),
        ready_url=f"{settings.url(SERVICES[name])}/readyz",
    )


def _simulator(settings: StackSettings) -> Program:
    port, storage = str(settings.ports["GRID_SIMULATOR_PORT"]), settings.data_dir / "grid.sqlite3"
    return Program(
        name="grid-simulator",
        arguments=[sys.executable, "-m", "embedded.grid_simulator", "--port", port, "--storage", str(storage)],
        environment={},
        ready_url=f"{settings.url('GRID_SIMULATOR_PORT')}/readyz",
    )


def _demo_gateway(settings: StackSettings, secrets: Mapping[str, str]) -> Program:
    return Program(
        name="demo-gateway",
        arguments=[sys.executable, "-m", "embedded.demo_gateway"],
        environment={
            "DEMO_WEBHOOK_SECRET": secrets["DEMO_WEBHOOK_SECRET"],
            "GATEWAY_INGEST_URL": settings.url("GATEWAY_INGEST_PORT"),
            "DEMO_GATEWAY_URL": settings.url("DEMO_GATEWAY_PORT"),
            "DEMO_GATEWAY_PORT": str(settings.ports["DEMO_GATEWAY_PORT"]),
        },
        ready_url=f"{settings.url('DEMO_GATEWAY_PORT')}/readyz",
    )
