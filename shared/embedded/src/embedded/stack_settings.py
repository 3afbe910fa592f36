"""What the stack on one machine is configured by: ports, the data folder, secrets that are passed through.

Reads the environment once; every fault is one line that names the variable.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis.settings import SettingsError

LOOPBACK = "127.0.0.1"
PORTS: Mapping[str, int] = {
    "PAYMENTS_API_PORT": 8000,
    "GATEWAY_INGEST_PORT": 8001,
    "LEDGER_PORT": 8002,
    "DEPLOYMENTS_PORT": 8003,
    "DEMO_GATEWAY_PORT": 8010,
    "GRID_SIMULATOR_PORT": 8011,
}
PASSED_THROUGH = ("SERVICE_TOKEN", "STRIPE_WEBHOOK_SECRET", "DEMO_WEBHOOK_SECRET", "RAW_EVENT_KEY")
DATA_DIR = ".gridledger"
MARKETPLACE = Path("config/marketplace.toml")


@dataclass(frozen=True)
class StackSettings:
    """``ports`` by variable name; ``given`` are the secrets that the environment names."""

    data_dir: Path
    ports: Mapping[str, int]
    given: Mapping[str, str]
    demo_payment: bool
    marketplace: Path

    def url(self, port_variable: str) -> str:
        """Where the process of that port listens."""
        return f"http://{LOOPBACK}:{self.ports[port_variable]}"


def read_settings(environment: Mapping[str, str] = os.environ) -> StackSettings:
    """Read and check. Raises SettingsError with one line."""
    marketplace = Path(environment.get("MARKETPLACE_CONFIG") or MARKETPLACE).absolute()
    if not marketplace.is_file():
        raise SettingsError(f"MARKETPLACE_CONFIG: {marketplace} is not a file; start from the project's folder")
    return StackSettings(
        data_dir=_writable(Path(environment.get("DATA_DIR") or DATA_DIR).absolute()),
        ports={name: _port(name, environment.get(name) or str(default)) for name, default in PORTS.items()},
        given={name: environment[name] for name in PASSED_THROUGH if environment.get(name)},
        demo_payment=_flag("DEMO_PAYMENT", environment.get("DEMO_PAYMENT") or "true"),
        marketplace=marketplace,
    )


def refuse_taken_ports(settings: StackSettings) -> None:
    """Raises SettingsError naming the first port that somebody else listens on."""
    for name, port in settings.ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                raise SettingsError(f"{name}: port {port} is taken ({error.strerror}); set {name} to another") from None


def _port(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise SettingsError(f"{name} must be a port from 1 to 65535")
    return int(text)


def _flag(name: str, text: str) -> bool:
    flags = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in flags:
        raise SettingsError(f"{name} must be true or false")
    return flags[text.lower()]


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsError(f"DATA_DIR: {folder} cannot be written to ({error.strerror})") from None
    return folder
