"""Stripe's block."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, HttpUrl, SecretStr, model_validator

from chassis.settings import ServiceSettings, is_loopback


class StripeSettings(ServiceSettings):
    """Without a secret key Stripe is not offered, or by its simulator in demo mode."""

    stripe_secret_key: Annotated[
        SecretStr | None, Field(min_length=1, description="Stripe's secret or restricted key (sk_…, rk_…)")
    ] = None
    stripe_publishable_key: Annotated[
        str | None, Field(pattern=r"^pk_[A-Za-z0-9_]+$", description="Stripe's publishable key, shown to browsers")
    ] = None
    stripe_currencies: Annotated[
        str,
        Field(
            pattern=r"^([A-Z]{3}(, ?[A-Z]{3})*)?$",
            description="Currencies sold beside US dollars, EUR,JPY; each needs a rate (FIXED_RATES, or the sources)",
        ),
    ] = ""
    stripe_api_version: Annotated[
        str | None,
        Field(
            pattern=r"^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$",
            description="Stripe's API version, instead of the one that this release was tested with",
        ),
    ] = None
    stripe_api_base: Annotated[
        HttpUrl | None, Field(description="A local server that speaks Stripe's API, instead of Stripe")
    ] = None

    @property
    def stripe_other_currencies(self) -> tuple[str, ...]:
        """The codes of STRIPE_CURRENCIES."""
        return tuple(code.strip() for code in self.stripe_currencies.split(",") if code.strip())

    @model_validator(mode="after")
    def _a_live_key_stays_with_stripe(self) -> Self:
        key, base = self.stripe_secret_key, self.stripe_api_base
        if key is None or base is None or "_live_" not in key.get_secret_value():
            return self
        if base.scheme == "https" or is_loopback(base.host or ""):
            return self
        raise ValueError("STRIPE_API_BASE would be sent a live key unencrypted; use https, or a test key")
