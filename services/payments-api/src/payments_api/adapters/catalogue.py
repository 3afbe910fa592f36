"""What is for sale, packages of credits and the base rate, from ``config/marketplace.toml``, read once at the start.

A file that is missing or wrong is one clear line, and the process does not start.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, ValidationError

from chassis.settings import SettingsError
from contracts.amounts import AMOUNT_MAX, Asset, parse_positive_units, parse_units
from payments_api.application.ports import Service
from payments_api.domain.quotes import PackageTerms, Pricing, Terms

PRICE_ASSET = "USD/2"


@dataclass(frozen=True, slots=True)
class Package:
    """Credits at a fixed price; ``bonus`` comes on top. Amounts in smallest units, the price of PRICE_ASSET."""

    id: str
    number: int
    name: str
    description: str
    credits: int
    bonus: int
    price: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The file's content. ``usd_rate`` is what one credit costs in dollars."""

    credit_asset: str
    usd_rate: Decimal
    terms: Terms
    packages: Sequence[Package]
    services: Mapping[str, Service]

    @property
    def pricing(self) -> Pricing:
        """What dollars buy, by rate and by package."""
        return Pricing(
            self.terms,
            {package.id: PackageTerms(package.price, package.credits, package.bonus) for package in self.packages},
        )


def _exact(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("write the amount as a string, so that it is exact")
    return value


_Amount = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=AMOUNT_MAX)]
_Text = Annotated[StrictStr, Field(min_length=1, max_length=255)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Credits(_Part):
    code: str = "TFC"
    exponent: int = Field(default=2, ge=0, le=18)
    usd_rate: Annotated[Decimal, BeforeValidator(_exact), Field(gt=0)] = Decimal(1)


class _Marketplace(_Part):
    quote_lifetime_s: int = Field(default=3600, gt=0, le=366 * 86_400)


class _Package(_Part):
    id: _Text
    number: int = Field(ge=1)
    name: _Text
    description: str = ""
    credits: _Amount
    bonus: _Amount = Decimal(0)
    price_usd: _Amount


class _Service(_Part):
    # As narrow as the ledger's charge, lest something be for sale that cannot be paid.
    id: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
    name: Annotated[StrictStr, Field(pattern=r"^[^\x00-\x1f\x7f]{1,100}$")]
    description: str = ""
    price_tfc: _Amount


class _File(_Part):
    credits: _Credits = _Credits()
    marketplace: _Marketplace = _Marketplace()
    packages: list[_Package] = []
    services: list[_Service] = []


def read_catalogue(path: Path) -> Catalogue:
    """Read the file. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            return _catalogue(_File.model_validate(tomllib.load(file)))
    except OSError as error:
        raise SettingsError(f"MARKETPLACE_CONFIG: cannot read {path}: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"MARKETPLACE_CONFIG: {path}: {place}: {first['msg']}") from error
    except ValueError as error:
        raise SettingsError(f"MARKETPLACE_CONFIG: {path}: {error}") from error


def _catalogue(file: _File) -> Catalogue:
    asset = Asset(file.credits.code, file.credits.exponent)
    Asset.parse(str(asset))
    services = {service.id: _service(service, asset) for service in file.services}
    packages = [_package(package, asset) for package in file.packages]
    if len(services) != len(file.services) or len({package.id for package in packages}) != len(packages):
        raise ValueError("an id stands twice")
    terms = Terms(PRICE_ASSET, str(asset), _rate(file.credits.usd_rate, asset), file.marketplace.quote_lifetime_s)
    return Catalogue(str(asset), file.credits.usd_rate, terms, packages, services)


def _rate(usd_per_credit: Decimal, asset: Asset) -> Fraction:
    """Smallest units of credit for one cent."""
    cents = Asset.parse(PRICE_ASSET).exponent
    return Fraction(10) ** (asset.exponent - cents) / Fraction(usd_per_credit)


def _service(service: _Service, asset: Asset) -> Service:
    price = parse_positive_units(service.price_tfc, asset)
    return Service(service.id, service.name, service.description, str(asset), price)


def _package(package: _Package, asset: Asset) -> Package:
    return Package(
        package.id,
        package.number,
        package.name,
        package.description,
        parse_positive_units(package.credits, asset),
        parse_units(package.bonus, asset),
        parse_positive_units(package.price_usd, PRICE_ASSET),
    )
