"""The catalogue and the commission rate from ``config/marketplace.toml``, read once at the start.

A file that is missing or wrong is one clear line, and the process does not start.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError, field_validator

from chassis.settings import SettingsError
from deployments.domain.events import GridSpec


class _Marketplace(BaseModel):
    model_config = ConfigDict(extra="ignore")

    commission_rate: Decimal = Field(default=Decimal("0.10"), ge=0, le=1)

    @field_validator("commission_rate", mode="before")
    @classmethod
    def _is_exact(cls, value: object) -> object:
        if isinstance(value, float):
            raise ValueError("write the rate as a string, so that it is exact")
        return value


class _Service(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str = Field(min_length=1, max_length=255)
    grid: dict[str, StrictBool | StrictInt | StrictStr]


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    marketplace: _Marketplace = _Marketplace()
    services: list[_Service] = []


class TomlCatalogue:
    """See application.ports.Catalogue."""

    def __init__(self, commission_rate: Decimal, specs: Mapping[str, GridSpec]) -> None:
        self.commission_rate = commission_rate
        self._specs = dict(specs)

    def spec_of(self, service_id: str) -> GridSpec | None:
        return self._specs.get(service_id)


def read_catalogue(path: Path) -> TomlCatalogue:
    """Read the file. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            content = _File.model_validate(tomllib.load(file))
    except OSError as error:
        raise SettingsError(f"MARKETPLACE_CONFIG: cannot read {path}: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"MARKETPLACE_CONFIG: {path}: {place}: {first['msg']}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"MARKETPLACE_CONFIG: {path} is not TOML: {error}") from error
    specs = {service.id: service.grid for service in content.services}
    if len(specs) != len(content.services):
        raise SettingsError(f"MARKETPLACE_CONFIG: {path}: two services have the same id")
    return TomlCatalogue(content.marketplace.commission_rate, specs)
