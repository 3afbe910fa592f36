"""The mail of a subscription's next period says what to pay, where and until when."""

from __future__ import annotations

from datetime import UTC, datetime

from chassis.clock import ManualClock
from payments_api.adapters.mail.wording import Wording
from payments_api.application.notifying_sending import DueMail

FACTS = {
    "reference": "7K3M9QX2",
    "gateway": "Bank transfer",
    "amount": "50.00 USD",
    "credits": "52.50 TFC",
    "until": "04 June 2026, 00:00 UTC",
    "pay_url": "https://shop.test/payments/p1?a=1&b=2",
}


def test_both_parts_say_it() -> None:
    wording = Wording(
        "Grid <billing@shop.test>", "https://shop.test/", "Grid", ManualClock(datetime(2026, 6, 1, tzinfo=UTC))
    )
    message = wording.message(DueMail("an-id", "renewal", "p1", "alice@example.org", FACTS, 1))
    assert message["Subject"] == "Your subscription: 50.00 USD to pay, 7K3M9QX2"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    for said in ("50.00 USD", "52.50 TFC", "Bank transfer", "04 June 2026, 00:00 UTC"):
        assert said in plain.get_content()
        assert said in html.get_content()
    assert FACTS["pay_url"] in plain.get_content()
    assert '<a href="https://shop.test/payments/p1?a=1&amp;b=2">' in html.get_content()
