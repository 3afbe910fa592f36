"""The demo gateway's page: a signed address, so that nobody invents payments there.

The signature is HMAC-SHA256 over the address's own parameters; the demo gateway verifies it with the same secret.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlencode

from contracts.amounts import Asset
from payments_api.domain.payment import Initiate

GATEWAY = "demo"


class DemoCheckout:
    """See application.ports.Checkout."""

    def __init__(self, gateway_url: str, secret: bytes) -> None:
        self._url = gateway_url.rstrip("/")
        self._secret = secret

    def payment_url(self, payment_id: str, payment: Initiate) -> str:
        """``<gateway>/pay?…&signature=``; the amount counts the currency's smallest unit."""
        query = urlencode(
            {
                "payment_id": payment_id,
                "reference": payment.reference,
                "user_id": payment.user_id,
                "amount": payment.quote.price,
                "currency": Asset.parse(payment.quote.price_asset).code.lower(),
            }
        )
        signature = hmac.digest(self._secret, query.encode(), "sha256").hex()
        return f"{self._url}/pay?{query}&signature={signature}"
