"""The block of the sources of rates."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import Field, HttpUrl, SecretStr, field_validator

from chassis.settings import ServiceSettings

RATE_MIN, RATE_MAX = Decimal("1E-12"), Decimal("1E12")


class RateSettings(ServiceSettings):
    """Coins are priced by the median of Kraken and CoinGecko, shillings by ClickPesa; what is fixed stands before
    both. Lists are written ``CODE=value,CODE=value``."""

    fixed_rates: Annotated[
        str, Field(description="US dollars per whole unit, instead of asking: BTC=60000,TZS=0.00038")
    ] = ""
    rate_min_sources: Annotated[
        int, Field(ge=1, le=5, description="How many sources of coins must answer; one rate alone can be wrong")
    ] = 2
    rate_timeout_s: Annotated[float, Field(gt=0, le=20, description="How long one source of rates may take")] = 3.0
    rate_max_age_s: Annotated[
        int, Field(ge=1, le=3600, description="How old a coin's rate may be before it does not count")
    ] = 300
    rate_max_apart_bp: Annotated[
        int, Field(ge=1, le=5000, description="Basis points by which the sources of a coin may differ")
    ] = 200
    rate_cache_s: Annotated[int, Field(ge=1, le=600, description="How long a rate is kept before it is asked anew")] = (
        30
    )
    tzs_rate_max_age_s: Annotated[
        int, Field(ge=60, le=30 * 86_400, description="How old ClickPesa's rate, which is a day's, may be")
    ] = 4 * 86_400
    kraken_url: Annotated[HttpUrl, Field(description="Kraken's public API")] = HttpUrl("https://api.kraken.com")
    kraken_pairs: Annotated[str, Field(description="Kraken's pairs of further coins: EURC=EURCUSD")] = ""
    coingecko_url: Annotated[HttpUrl | None, Field(description="CoinGecko's API, instead of its usual address")] = None
    coingecko_api_key: Annotated[SecretStr | None, Field(min_length=1, description="CoinGecko's key")] = None
    coingecko_pro: Annotated[bool, Field(description="Whether the key is one of CoinGecko's paid plans")] = False
    coingecko_ids: Annotated[str, Field(description="CoinGecko's ids of further coins: EURC=euro-coin")] = ""

    @field_validator("fixed_rates", "kraken_pairs", "coingecko_ids")
    @classmethod
    def _is_a_list(cls, text: str) -> str:
        _ = by_code(text)
        return text

    @field_validator("fixed_rates")
    @classmethod
    def _are_rates(cls, text: str) -> str:
        _ = rates_by_code(text)
        return text


def by_code(text: str) -> dict[str, str]:
    """``BTC=a,ETH=b`` as a mapping. Raises ValueError."""
    found: dict[str, str] = {}
    for part in (part.strip() for part in text.split(",") if part.strip()):
        code, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not code.isalnum() or code != code.upper() or not value:
            raise ValueError("is written CODE=value,CODE=value")
        if code in found:
            raise ValueError(f"names {code} twice")
        found[code] = value
    return found


def rates_by_code(text: str) -> dict[str, Decimal]:
    """``BTC=60000,TZS=0.00038`` as a mapping. Raises ValueError."""
    return {code: _rate(code, value) for code, value in by_code(text).items()}


def _rate(code: str, value: str) -> Decimal:
    try:
        rate = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"the rate of {code} is no number") from None
    if not rate.is_finite() or not RATE_MIN <= rate <= RATE_MAX:
        raise ValueError(f"the rate of {code} is out of bounds")
    return rate
