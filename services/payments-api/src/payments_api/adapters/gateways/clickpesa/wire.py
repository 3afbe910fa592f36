"""What we ask of ClickPesa, in its words: a checkout link for a price, signed with a checksum. No I/O.

ClickPesa takes whole shillings, or dollars; amounts go as texts, so nothing of them is lost in a float.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from contracts.amounts import Asset, format_units
from payments_api.application.gateways import PayRequest
from payments_api.domain.quotes import Quote

SHILLINGS, DOLLARS = "TZS/0", "USD/2"
ASSETS: Mapping[str, str] = {"TZS": SHILLINGS, "USD": DOLLARS}
DESCRIPTION_MAX_CHARS = 200
UNSIGNED_FIELDS = ("checksum", "checksumMethod")

Method = Literal["canonical", "legacy"]


@dataclass(frozen=True, slots=True, repr=False)
class ChecksumKey:
    """The application's checksum secret, and the method that is switched on for it."""

    secret: bytes
    method: Method = "canonical"


def checkout_body(request: PayRequest, quote: Quote, key: ChecksumKey | None) -> dict[str, str]:
    """A hosted checkout link for the price of ``quote`` under our reference; signed where there is a key."""
    body = {
        "totalPrice": format_units(quote.price, quote.price_asset),
        "orderReference": request.reference,
        "orderCurrency": Asset.parse(quote.price_asset).code,
    }
    if request.customer_email:
        body["customerEmail"] = request.customer_email
    if request.description:
        body["description"] = request.description[:DESCRIPTION_MAX_CHARS]
    return body if key is None else signed(body, key)


def signed(body: Mapping[str, str], key: ChecksumKey) -> dict[str, str]:
    """The body with its checksum; the method is named where it is not the usual one."""
    if key.method == "legacy":
        named = {**body, "checksumMethod": "legacy"}
        return {**named, "checksum": checksum(named, key)}
    return {**body, "checksum": checksum(body, key)}


def checksum(body: Mapping[str, Any], key: ChecksumKey) -> str:
    """HMAC-SHA256 in hex over flat texts in the order of their names: as compact JSON, or joined, by the method."""
    told = {name: body[name] for name in sorted(body) if name not in UNSIGNED_FIELDS}
    if key.method == "legacy":
        text = "".join(told.values())
    else:
        text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return hmac.digest(key.secret, text.encode(), "sha256").hex()
