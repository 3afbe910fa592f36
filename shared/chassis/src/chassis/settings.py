"""What every service is configured by: typed, documented fields, from a TOML file and the environment.

The environment wins over the file named by ``SETTINGS_FILE``, the file over the defaults. Secrets are masked in
every output. A service subclasses ServiceSettings and adds its own fields; reads happen once, in ``load``.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, HttpUrl, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

SETTINGS_FILE_VARIABLE = "SETTINGS_FILE"
SETTINGS_MISSING_MAX_LISTED = 8


class SettingsError(Exception):
    """The process cannot start as configured. The text is one line and names what to change."""


class ServiceSettings(BaseSettings):
    """What all services share. The environment variable is the field's name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    service: ClassVar[str] = "service"

    database_url: Annotated[
        SecretStr, Field(description="PostgreSQL DSN of the service's own database, as its _app role")
    ]
    migration_database_url: Annotated[
        SecretStr | None, Field(description="The same database as its _owner role; only `migrate` needs it")
    ] = None
    bus_url: Annotated[SecretStr, Field(description="postgresql:// for the PostgreSQL log, kafka:// for Kafka")]
    service_token: Annotated[
        SecretStr, Field(min_length=1, description="What services show each other as Bearer token")
    ]
    host: Annotated[str, Field(description="Address to listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="Port to listen on")]
    log_format: Annotated[Literal["console", "json"], Field(description="How log lines look")] = "console"
    otel_exporter_otlp_endpoint: Annotated[
        HttpUrl | None, Field(description="Collector that spans are sent to, by OTLP over HTTP; unset: none are made")
    ] = None
    otel_traces_sampler_arg: Annotated[
        float, Field(ge=0, le=1, description="Share of the traces that begin here to be kept")
    ] = 1.0
    demo_payment: Annotated[bool, Field(description="Demo gateways and demo sign-in: money that nobody paid")] = False
    demo_payment_allow_public: Annotated[
        bool, Field(description="Accept DEMO_PAYMENT and DEMO_SIGN_IN on an address that others can reach")
    ] = False
    marketplace_config: Annotated[Path, Field(description="Catalogue, packages and rates")] = Path(
        "config/marketplace.toml"
    )

    @model_validator(mode="after")
    def _demo_stays_at_home(self) -> Self:
        if self.demo_payment and not self.demo_payment_allow_public and not is_loopback(self.host):
            raise ValueError(
                f"DEMO_PAYMENT=true gives money away and HOST={self.host} can be reached by others; "
                "listen on 127.0.0.1, or set DEMO_PAYMENT_ALLOW_PUBLIC=true if that is meant"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file; an empty variable counts as not set."""
        environment = EnvSettingsSource(settings_cls, env_ignore_empty=True)
        return init_settings, environment, TomlConfigSettingsSource(settings_cls, _settings_file())


S = TypeVar("S", bound=ServiceSettings)


def load(cls: type[S], **overrides: Any) -> S:
    """Read the settings of a service. Raises SettingsError with one line naming the environment variable at fault."""
    file = _settings_file()
    if file is not None and not file.is_file():
        raise SettingsError(f"{SETTINGS_FILE_VARIABLE} names {file}, which is not a file")
    try:
        return cls(**overrides)
    except ValidationError as error:
        raise SettingsError(_explain(cls, error)) from None
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the settings of {cls.service} cannot be read from {file or 'the environment'}: {error}"
        ) from error


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _settings_file() -> Path | None:
    named = os.environ.get(SETTINGS_FILE_VARIABLE)
    return Path(named) if named else None


def _explain(cls: type[ServiceSettings], error: ValidationError) -> str:
    """One line, never with a value: it may be a secret."""
    faults = [_fault(fault["loc"], fault["type"], fault["msg"]) for fault in error.errors(include_input=False)]
    listed = "; ".join(faults[:SETTINGS_MISSING_MAX_LISTED])
    return f"{cls.service}: {listed}"


def _fault(location: tuple[int | str, ...], kind: str, message: str) -> str:
    text = message.removeprefix("Value error, ").replace("\n", " ")
    if not location:
        return text
    variable = str(location[0]).upper()
    return f"{variable} is not set" if kind == "missing" else f"{variable} is wrong: {text}"
