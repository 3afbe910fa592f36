"""ClickPesa's block."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, SecretStr, model_validator

from chassis.settings import ServiceSettings, is_loopback


class ClickPesaSettings(ServiceSettings):
    """Without both keys ClickPesa is not offered, or by its simulator in demo mode."""

    clickpesa_client_id: Annotated[
        SecretStr | None, Field(min_length=1, description="Client id of the application at ClickPesa")
    ] = None
    clickpesa_api_secret: Annotated[
        SecretStr | None, Field(min_length=1, description="API key of the application at ClickPesa")
    ] = None
    clickpesa_webhook_secret: Annotated[
        SecretStr | None,
        Field(description="ClickPesa's checksum keys (CHK…), separated by commas; the first signs our requests"),
    ] = None
    clickpesa_checksum_method: Annotated[
        Literal["canonical", "legacy"], Field(description="How our requests to ClickPesa are signed")
    ] = "canonical"
    clickpesa_base_url: Annotated[
        HttpUrl | None, Field(description="A server that speaks ClickPesa's API, instead of ClickPesa")
    ] = None
    clickpesa_minimum_tzs: Annotated[
        int, Field(ge=1, le=10_000_000, description="Least price in whole shillings; ClickPesa names none")
    ] = 500
    clickpesa_minimum_cents: Annotated[
        int, Field(ge=1, le=1_000_000, description="Least price in US cents; ClickPesa names none")
    ] = 100
    clickpesa_spread_bp: Annotated[
        int, Field(ge=0, le=5000, description="Basis points taken off the rate at which shillings buy credits")
    ] = 100

    @model_validator(mode="after")
    def _clickpesa_has_both_keys(self) -> Self:
        if (self.clickpesa_client_id is None) == (self.clickpesa_api_secret is None):
            return self
        raise ValueError("CLICKPESA_CLIENT_ID and CLICKPESA_API_SECRET go together; one of them is not set")

    @model_validator(mode="after")
    def _clickpesa_hears_keys_encrypted(self) -> Self:
        base = self.clickpesa_base_url
        if self.clickpesa_api_secret is None or base is None or base.scheme == "https" or is_loopback(base.host or ""):
            return self
        raise ValueError("CLICKPESA_BASE_URL would be sent the keys unencrypted; use https")
