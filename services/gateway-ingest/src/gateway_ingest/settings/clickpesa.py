"""ClickPesa's block."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, HttpUrl, SecretStr, model_validator

from chassis.settings import ServiceSettings, is_loopback


class ClickPesaSettings(ServiceSettings):
    """All three secrets are needed: a webhook is proven by the checksum key, and then asked about with the other two.
    Without one of them ClickPesa's webhooks are refused with 503; in demo mode a simulator is asked without keys."""

    clickpesa_client_id: Annotated[
        SecretStr | None, Field(min_length=1, description="Client id of the application at ClickPesa")
    ] = None
    clickpesa_api_secret: Annotated[
        SecretStr | None, Field(min_length=1, description="API key of the application at ClickPesa")
    ] = None
    clickpesa_webhook_secret: Annotated[
        SecretStr | None,
        Field(description="ClickPesa's checksum keys (CHK…), separated by commas while one is replaced"),
    ] = None
    clickpesa_base_url: Annotated[
        HttpUrl | None, Field(description="A server that speaks ClickPesa's API, instead of ClickPesa")
    ] = None
    clickpesa_timeout_s: Annotated[
        float, Field(gt=0, le=30, description="How long asking ClickPesa about one webhook may take")
    ] = 8.0
    clickpesa_spread_bp: Annotated[
        int, Field(ge=0, le=5000, description="Basis points taken off the rate of shillings that come after the quote")
    ] = 100

    @model_validator(mode="after")
    def _keys_are_sent_encrypted(self) -> Self:
        base = self.clickpesa_base_url
        if self.clickpesa_api_secret is None or base is None or base.scheme == "https" or is_loopback(base.host or ""):
            return self
        raise ValueError("CLICKPESA_BASE_URL would be sent the keys unencrypted; use https")
