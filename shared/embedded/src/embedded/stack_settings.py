"""What the stack on one machine is configured by: ports, the data folder, what is passed on to the services.

Everything has a default. A wrong value is one line (SettingsError) that names the variable. Starts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from chassis.settings import SettingsError
from embedded.ports import LOOPBACK, port_refusal

PORT_MAX = 65535
DATA_DIR = ".gridledger"
MARKETPLACE = "config/marketplace.toml"

PORTS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "payments-api": ("PAYMENTS_API_PORT", 8000),
        "gateway-ingest": ("GATEWAY_INGEST_PORT", 8001),
        "ledger": ("LEDGER_PORT", 8002),
        "deployments": ("DEPLOYMENTS_PORT", 8003),
        "demo-gateway": ("DEMO_GATEWAY_PORT", 8010),
        "grid-simulator": ("GRID_SIMULATOR_PORT", 8011),
    }
)
"""Process → the variable with its port, and the port without it."""

POSTGRES_PORT = "POSTGRES_PORT"
"""The variable with PostgreSQL's port; without it a free one is taken at each start."""


KAFKA_PORT = "KAFKA_PORT"
"""The variable with Kafka's port; without it a stack takes a free one at each start."""

POSTGRES_BUS, KAFKA_BUS = "postgresql", "kafka"
"""What BUS may be."""


@dataclass(frozen=True, slots=True)
class StackSettings:
    """``ports`` has one for each process of PORTS, no two alike. ``environment`` is what was given, as it was.

    ``bus`` None: the one that the data folder was begun with.
    """

    data_dir: Path
    ports: Mapping[str, int]
    postgres_port: int | None
    bus: str | None
    kafka_port: int | None
    demo_payment: bool
    marketplace: Path
    environment: Mapping[str, str] = field(repr=False)

    def url(self, process: str) -> str:
        """Where a process listens."""
        return f"http://{LOOPBACK}:{self.ports[process]}"


def read_settings(environment: Mapping[str, str], folder: Path) -> StackSettings:
    """Read and check; relative paths start at ``folder``. Raises SettingsError with one line."""
    ports = {process: _port(environment, variable, default) for process, (variable, default) in PORTS.items()}
    postgres_port = _port(environment, POSTGRES_PORT, 0) or None
    kafka_port = _port(environment, KAFKA_PORT, 0) or None
    _refuse_shared_ports(ports, {POSTGRES_PORT: postgres_port, KAFKA_PORT: kafka_port})
    return StackSettings(
        data_dir=(folder / (environment.get("DATA_DIR") or DATA_DIR)).absolute(),
        ports=MappingProxyType(ports),
        postgres_port=postgres_port,
        bus=_bus(environment),
        kafka_port=kafka_port,
        demo_payment=_flag("DEMO_PAYMENT", environment.get("DEMO_PAYMENT") or "true"),
        marketplace=_marketplace(environment, folder),
        environment=MappingProxyType(dict(environment)),
    )


def refuse_taken_ports(settings: StackSettings) -> None:
    """Raises SettingsError naming the first port that somebody else listens on."""
    for process, port in settings.ports.items():
        variable, refusal = PORTS[process][0], port_refusal(port)
        if refusal is not None:
            raise SettingsError(f"{variable}: port {port} cannot be had ({refusal}); set {variable} to another")


def _port(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable) or str(default)
    if text == str(default):
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= PORT_MAX):
        raise SettingsError(f"{variable} must be a port from 1 to {PORT_MAX}, not {text!r}")
    return int(text)


def _refuse_shared_ports(ports: Mapping[str, int], others: Mapping[str, int | None]) -> None:
    named = {variable: ports[process] for process, (variable, _) in PORTS.items()}
    named |= {variable: port for variable, port in others.items() if port is not None}
    seen: dict[int, str] = {}
    for variable, port in named.items():
        if port in seen:
            raise SettingsError(f"{seen[port]} and {variable} are both {port}; each process needs a port of its own")
        seen[port] = variable


def _bus(environment: Mapping[str, str]) -> str | None:
    bus = environment.get("BUS") or None
    if bus not in (None, POSTGRES_BUS, KAFKA_BUS):
        raise SettingsError(f"BUS must be {POSTGRES_BUS} or {KAFKA_BUS}, not {bus!r}")
    return bus


def _flag(variable: str, text: str) -> bool:
    flags = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in flags:
        raise SettingsError(f"{variable} must be true or false, not {text!r}")
    return flags[text.lower()]


def _marketplace(environment: Mapping[str, str], folder: Path) -> Path:
    path = (folder / (environment.get("MARKETPLACE_CONFIG") or MARKETPLACE)).absolute()
    if not path.is_file():
        raise SettingsError(f"MARKETPLACE_CONFIG: {path} is not a file; start from the project's folder")
    return path
