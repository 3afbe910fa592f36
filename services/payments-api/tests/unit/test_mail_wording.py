"""How mails are worded: other people's words stay words, in HTML and in headers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from jinja2 import UndefinedError

from chassis.clock import ManualClock
from payments_api.adapters.mail.wording import Wording
from payments_api.application.notifying_sending import DueMail, MailRefused

FAILED = {"reference": "7K3M9QX2", "gateway": "Stripe", "amount": "25.00 USD", "reason": "no luck"}


def worded(facts: dict[str, str], recipient: str = "alice@example.org", **given: Any) -> EmailMessage:
    clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
    wording = Wording(
        given.get("mail_from", "Grid <billing@shop.test>"), "https://shop.test/", given.get("seller", "Grid"), clock
    )
    return wording.message(DueMail("an-id", "failed", "the-payment", recipient, facts, 1))


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def test_a_gateways_words_are_no_html() -> None:
    message = worded(FAILED | {"reason": "<script>alert('&')</script>"}, seller="<b>Grid</b>")
    html = part(message, "html")
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;" in html
    assert "<script>" not in html
    assert "<b>Grid</b>" not in html
    assert "<script>alert('&')</script>" in part(message, "plain")


def test_a_failure_without_a_reason_says_none() -> None:
    message = worded(FAILED | {"reason": ""})
    assert "says" not in part(message, "plain")
    assert "says" not in part(message, "html")


def test_headers() -> None:
    message = worded(FAILED)
    assert {name: str(message[name]) for name in ("From", "To", "Subject", "Message-ID", "Date", "Auto-Submitted")} == {
        "From": "Grid <billing@shop.test>",
        "To": "alice@example.org",
        "Subject": "Your payment 7K3M9QX2 failed",
        "Message-ID": "<an-id@shop.test>",
        "Date": "Fri, 01 May 2026 00:00:00 +0000",
        "Auto-Submitted": "auto-generated",
    }


@pytest.mark.parametrize(
    "recipient",
    ["a@example.org\r\nBcc: b@example.org", "a,b@example.org", "<a@example.org>", "nobody", "", "@example.org"],
)
def test_an_address_is_one_address(recipient: str) -> None:
    with pytest.raises(MailRefused, match="not an address"):
        worded(FAILED, recipient)


def test_a_fact_that_is_missing_is_a_bug_and_no_gap() -> None:
    with pytest.raises(UndefinedError):
        worded({name: text for name, text in FAILED.items() if name != "amount"})


def test_what_could_not_be_bought() -> None:
    wording = Wording(
        "Grid <billing@shop.test>", "https://shop.test/", "Grid", ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
    )
    facts = {"service": "Web & Server", "required": "10.00 TFC", "available": "0.00 TFC"}
    message = wording.message(DueMail("an-id", "purchase_refused", "p1", "alice@example.org", facts, 1))
    assert message["Subject"] == "Web & Server could not be bought"
    for said in ("10.00 TFC", "0.00 TFC", "https://shop.test/payments/p1"):
        assert said in part(message, "plain")
        assert said in part(message, "html")
    assert "Web &amp; Server" in part(message, "html")
