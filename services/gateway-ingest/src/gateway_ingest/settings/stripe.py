"""Stripe's block."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from chassis.settings import ServiceSettings


class StripeSettings(ServiceSettings):
    """Without a signing secret Stripe's webhooks are refused with 503."""

    stripe_webhook_secret: Annotated[
        SecretStr | None,
        Field(description="Stripe's signing secrets (whsec_…), separated by commas while one is rolled"),
    ] = None
