"""What payments-api is configured by; see chassis.settings for the shared part and the sources."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, HttpUrl, SecretStr, model_validator

from chassis.settings import ServiceSettings

PORT = 8000
DAY_S = 86_400


class PaymentsApiSettings(ServiceSettings):
    """Times are in seconds."""

    service: ClassVar[str] = "payments-api"

    port: Annotated[int, Field(ge=1, le=65535, description="Port to listen on")] = PORT
    ledger_url: Annotated[HttpUrl, Field(description="The ledger's HTTP interface")]
    gateway_ingest_url: Annotated[HttpUrl, Field(description="Where webhooks are passed on to")]
    demo_gateway_url: Annotated[HttpUrl, Field(description="The demo gateway, as a person's browser reaches it")] = (
        HttpUrl("http://127.0.0.1:8010")
    )
    demo_webhook_secret: Annotated[
        SecretStr | None, Field(min_length=1, description="Shared with the demo gateway; signs its payment pages")
    ] = None
    ledger_timeout_s: Annotated[float, Field(gt=0, le=60, description="How long one call to the ledger may take")] = 2.0
    purchase_budget_s: Annotated[
        float, Field(gt=0, le=8, description="How long a purchase waits for the ledger before it goes on behind")
    ] = 5.0
    session_lifetime_s: Annotated[float, Field(ge=60, le=366 * DAY_S, description="How long a sign-in lasts")] = (
        7.0 * DAY_S
    )

    @model_validator(mode="after")
    def _demo_is_whole(self) -> Self:
        if self.demo_payment and self.demo_webhook_secret is None:
            raise ValueError("DEMO_PAYMENT=true needs DEMO_WEBHOOK_SECRET")
        return self
