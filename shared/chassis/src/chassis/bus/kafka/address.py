"""Where the brokers are and how to speak to them, read from a BUS_URL. Opens nothing.

``kafka://[user:password@]host[:port][,host[:port]…][?session_timeout_s=…&replication_factor=…&tls=true&ca_file=…]``
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from chassis.settings import SettingsError

SCHEME = "kafka"
PORT = 9092
SESSION_TIMEOUT_S = 30.0
SESSION_TIMEOUT_RANGE_S = (0.5, 300.0)
REPLICATION_FACTOR_MAX = 9
SASL_MECHANISM = "SCRAM-SHA-512"
_KNOWN = ("session_timeout_s", "replication_factor", "tls", "ca_file")


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """``replication_factor`` None: three, or as many as are named and there. The password is kept out of the repr."""

    servers: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    session_timeout_s: float = SESSION_TIMEOUT_S
    replication_factor: int | None = None

    def connection_options(self) -> dict[str, Any]:
        """What every client of aiokafka is told about reaching the brokers. Raises SettingsError."""
        options: dict[str, Any] = {"bootstrap_servers": list(self.servers), "security_protocol": self._protocol()}
        if self.tls:
            options["ssl_context"] = self._trust()
        if self.user is not None:
            options |= {
                "sasl_mechanism": SASL_MECHANISM,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return options

    def _protocol(self) -> str:
        transport = "SSL" if self.tls else "PLAINTEXT"
        return transport if self.user is None else f"SASL_{transport}"

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"BUS_URL: ca_file {self.ca_file} cannot be used: {error}") from None


def read_address(url: str) -> KafkaAddress:
    """Read a BUS_URL. Raises SettingsError with one line, never with the password."""
    try:
        parts = urlsplit(url)
        # Read here, where a malformed one raises; the list of brokers is read by us.
        credentials, _, listed = parts.netloc.rpartition("@")
    except ValueError:
        raise SettingsError("BUS_URL is malformed") from None
    if "@" in parts.path + parts.query + parts.fragment:
        # Said before anything of it is quoted: it may be half of a password.
        raise SettingsError("BUS_URL: write / ? # @ in a user or password as %2F %3F %23 %40")
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(parameters) - set(_KNOWN))
    if unknown or parts.path.strip("/") or parts.fragment:
        raise SettingsError(f"BUS_URL: {unknown[0] if unknown else 'a path'} means nothing for {SCHEME}://")
    user, password = _credentials(credentials)
    tls = _flag(parameters)
    if user is not None and not tls and "tls" not in parameters:
        raise SettingsError("BUS_URL has a user without tls=true; say tls=false if the way is trusted")
    return KafkaAddress(
        servers=tuple(_server(server) for server in listed.split(",")),
        user=user,
        password=password,
        tls=tls,
        ca_file=Path(parameters["ca_file"]) if parameters.get("ca_file") else None,
        session_timeout_s=_session_timeout(parameters),
        replication_factor=_replication_factor(parameters),
    )


def _credentials(text: str) -> tuple[str | None, str | None]:
    if not text:
        return None, None
    user, separator, password = text.partition(":")
    if not user or not separator or not password:
        raise SettingsError("BUS_URL must name user and password, as user:password@")
    return unquote(user), unquote(password)


def _server(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator:
        host, port = text, str(PORT)
    if not host or not port.isdigit() or not 0 < int(port) <= 65535:
        raise SettingsError(f"BUS_URL: {text or 'nothing'} is no broker; it must be host:port[,host:port…]")
    return f"{host}:{port}"


def _flag(parameters: Mapping[str, str]) -> bool:
    given = parameters.get("tls", "false").lower()
    if given not in ("true", "false"):
        raise SettingsError(f"BUS_URL has tls={given}; it must be true or false")
    return given == "true"


def _session_timeout(parameters: Mapping[str, str]) -> float:
    given = parameters.get("session_timeout_s", str(SESSION_TIMEOUT_S))
    least, most = SESSION_TIMEOUT_RANGE_S
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not least <= seconds <= most:
        raise SettingsError(f"BUS_URL has session_timeout_s={given}; it must be a number from {least:g} to {most:g}")
    return seconds


def _replication_factor(parameters: Mapping[str, str]) -> int | None:
    given = parameters.get("replication_factor")
    if given is None:
        return None
    if not given.isdigit() or not 1 <= int(given) <= REPLICATION_FACTOR_MAX:
        raise SettingsError(
            f"BUS_URL has replication_factor={given}; it must be a whole number from 1 to {REPLICATION_FACTOR_MAX}"
        )
    return int(given)
