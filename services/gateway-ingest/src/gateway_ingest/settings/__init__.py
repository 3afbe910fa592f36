"""What gateway-ingest is configured by, beside what all services share. Holds no logic but parsing."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from gateway_ingest.settings.clickpesa import ClickPesaSettings
from gateway_ingest.settings.crypto import CryptoSettings
from gateway_ingest.settings.reconcile import ReconcileSettings
from gateway_ingest.settings.stripe import StripeSettings


class IngestSettings(StripeSettings, ClickPesaSettings, CryptoSettings, ReconcileSettings):
    """Settings of gateway-ingest. A gateway without a secret is refused with 503; it is never heard unverified."""

    service: ClassVar[str] = "gateway-ingest"

    demo_webhook_secret: Annotated[
        SecretStr | None, Field(description="The demo gateway's signing secrets, separated by commas")
    ] = None
    raw_event_key: Annotated[
        SecretStr,
        Field(
            description="base64 of 32 bytes that encrypt raw events; several separated by commas: the first encrypts, "
            "all decrypt"
        ),
    ]


def split_secrets(secret: SecretStr | None) -> tuple[bytes, ...]:
    """The secrets of a comma-separated setting; empty when there are none."""
    parts = secret.get_secret_value().split(",") if secret is not None else []
    return tuple(part.strip().encode() for part in parts if part.strip())
