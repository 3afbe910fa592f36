"""The payment page's address. The expected signature is fixed: the demo gateway's tests verify the same one."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from payments_api.adapters.demo_checkout import DemoCheckout
from payments_api.domain.payment import Initiate
from payments_api.domain.quotes import Quote

SIGNATURE = "01aa16709583aef1a991cf14c3664f49d84e3aca8811ca0c925faf2b116ac401"


def test_the_address_is_signed_over_its_parameters() -> None:
    quote = Quote("USD/2", 2500, "TFC/2", 2500, 0, datetime(2026, 5, 1, tzinfo=UTC))
    checkout = DemoCheckout("http://127.0.0.1:8010/", b"demo-secret")
    address = urlsplit(checkout.payment_url("p1", Initiate("a.b-c_d", "GL123", "demo", quote)))
    assert (address.netloc, address.path) == ("127.0.0.1:8010", "/pay")
    assert dict(parse_qsl(address.query)) == {
        "payment_id": "p1",
        "reference": "GL123",
        "user_id": "a.b-c_d",
        "amount": "2500",
        "currency": "usd",
        "signature": SIGNATURE,
    }
