"""Receipts as people get them: every figure of a receipt can be read in its document, to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from payments_api.adapters.receipt_pdf import ReceiptPdf
from payments_api.application.receipts import Receipt, ReceiptLine, Seller

from .receipt_text import texts

DAY = datetime(2026, 5, 1, 23, 59, tzinfo=UTC)
DOLLARS = ReceiptLine("p1", DAY, "USD/2", 118_00, "TFC/2", 12345)


def receipt(*lines: ReceiptLine, **given: Any) -> Receipt:
    chosen: dict[str, Any] = {
        "number": "2026-000042",
        "issued_at": DAY,
        "seller": Seller("Grid Söhne (Ltd)", "1 Quay Road\nZürich", "CHE-123", Decimal("0.18")),
        "buyer_id": "alice",
        "buyer_email": "alice@example.org",
        "payment_id": "the-payment",
        "payment_reference": "7K3M9QX2",
        "gateway": "stripe",
        "lines": lines or (DOLLARS,),
    }
    return Receipt(**chosen | given)


def test_every_figure_stands_in_it() -> None:
    assert texts(ReceiptPdf()(receipt())) == [
        "Receipt 2026-000042",
        "Seller",
        "Grid Söhne (Ltd)",
        "1 Quay Road",
        "Zürich",
        "Tax number: CHE-123",
        "Buyer",
        "alice@example.org",
        "Account alice",
        "Date: 2026-05-01",
        "Payment reference: 7K3M9QX2",
        "Paid by: Stripe",
        *("Date", "Credits bought", "Paid"),
        *("2026-05-01", "123.45 TFC", "118.00 USD"),
        *("Net", "100.00 USD"),
        *("Tax 18 %, included", "18.00 USD"),
        *("Total", "118.00 USD"),
    ]


def test_coins_that_came_in_pieces_are_lines_of_one_total() -> None:
    wei = 1_234_567_890_123_456_789
    pieces = [ReceiptLine(f"p{number}", DAY, "ETH/18", wei, "TFC/2", 1) for number in (1, 2)]
    words = texts(ReceiptPdf()(receipt(*pieces, gateway="crypto", seller=Seller("Grid"))))
    assert words.count("1.234567890123456789 ETH") == 2
    assert words[-6:] == [
        *("Net", "2.469135780246913578 ETH"),
        *("Tax 0 %, included", "0.000000000000000000 ETH"),
        *("Total", "2.469135780246913578 ETH"),
    ]


def test_what_came_in_two_currencies_is_not_added_up() -> None:
    words = texts(ReceiptPdf()(receipt(DOLLARS, ReceiptLine("p2", DAY, "TZS/0", 59_000, "TFC/2", 1))))
    assert [words[words.index("Total") + 1], words[-1]] == ["118.00 USD", "59000 TZS"]
    assert words[-3] == "9000 TZS"


@pytest.mark.parametrize(
    ("rate", "shown"),
    [("0", "0"), ("0.1", "10"), ("0.075", "7.5"), ("0.20", "20"), ("0.000001", "0.0001")],
)
def test_the_rate_is_told_as_a_plain_percentage(rate: str, shown: str) -> None:
    words = texts(ReceiptPdf()(receipt(seller=Seller("Grid", tax_rate=Decimal(rate)))))
    assert f"Tax {shown} %, included" in words


def test_the_same_receipt_is_the_same_document() -> None:
    assert ReceiptPdf()(receipt()) == ReceiptPdf()(receipt())


def test_a_buyer_whose_letters_the_font_lacks_still_gets_a_receipt() -> None:
    assert "??@example.org" in texts(ReceiptPdf()(receipt(buyer_email="李雷@example.org")))


def test_an_address_that_was_emptied_leaves_the_account() -> None:
    words = texts(ReceiptPdf()(receipt(buyer_email=None)))
    assert words[words.index("Buyer") + 1] == "Account alice"


def test_many_pieces_go_on_to_the_next_page() -> None:
    pieces = [ReceiptLine(f"p{number}", DAY, "USD/2", 100 + number, "TFC/2", 1) for number in range(80)]
    document = ReceiptPdf()(receipt(*pieces))
    words = texts(document)
    assert document.count(b"/Type /Page\n") == 3
    assert [f"{(100 + number) / 100:.2f} USD" in words for number in range(80)] == [True] * 80
    assert words[-1] == "111.60 USD"
