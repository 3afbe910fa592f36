"""A receipt as a PDF of one column. Drawing the same receipt again gives the same bytes.

Without a font of one's own only Western European letters can be drawn; others become question marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from pathlib import Path

from fpdf import FPDF, XPos, YPos

from contracts.amounts import Asset, format_units
from payments_api.application.receipts import GATEWAY_NAMES, Receipt, ReceiptLine, Total

MARGIN_MM = 20
LINE_MM = 6
COLUMNS_MM = (28, 92, 50)
SIZE_PT, SIZE_SMALL_PT, SIZE_TITLE_PT = 10, 8, 18
OWN_FONT, BUILT_IN_FONT = "own", "helvetica"


class ReceiptPdf:
    """Draws. ``font`` is a TrueType font, None for the built-in one."""

    def __init__(self, font: Path | None = None) -> None:
        self._font = font

    def __call__(self, receipt: Receipt) -> bytes:
        """The document."""
        page = _Page(self._font)
        page.set_creation_date(receipt.issued_at)
        page.set_title(f"Receipt {receipt.number}")
        page.set_author(receipt.seller.name)
        _draw_head(page, receipt)
        _draw_lines(page, receipt.lines)
        for total in receipt.totals:
            _draw_total(page, total, receipt.seller.tax_rate)
        return bytes(page.output())


class _Page(FPDF):
    """One column of A4 that knows its font."""

    def __init__(self, font: Path | None) -> None:
        super().__init__(format="A4")
        self.set_margin(MARGIN_MM)
        self._is_western_only = font is None
        self._name = BUILT_IN_FONT
        if font is not None:
            self._name = OWN_FONT
            self.add_font(OWN_FONT, fname=font)
        self.write_in(SIZE_PT)
        self.add_page()

    def write_in(self, size_pt: int) -> None:
        """The size of what follows."""
        self.set_font(self._name, size=size_pt)

    def row(self, cells: Sequence[str], widths_mm: Sequence[float], *, rule: bool = False) -> None:
        """Cells side by side, the last to the right; each is as high as one line."""
        border = "T" if rule else ""
        for text, width in zip(cells[:-1], widths_mm[:-1], strict=True):
            self.cell(width, LINE_MM, self.drawable(text), border=border)
        last = self.drawable(cells[-1])
        self.cell(widths_mm[-1], LINE_MM, last, border=border, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def paragraph(self, text: str) -> None:
        """Text that breaks where it must."""
        self.multi_cell(0, LINE_MM, self.drawable(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def drawable(self, text: str) -> str:
        """What of ``text`` the font has letters for."""
        return text.encode("latin-1", "replace").decode("latin-1") if self._is_western_only else text


def _draw_head(page: _Page, receipt: Receipt) -> None:
    seller = receipt.seller
    page.write_in(SIZE_TITLE_PT)
    page.paragraph(f"Receipt {receipt.number}")
    page.write_in(SIZE_PT)
    page.ln(LINE_MM)
    _draw_party(page, "Seller", [seller.name, *seller.address.splitlines()])
    if seller.tax_id is not None:
        page.paragraph(f"Tax number: {seller.tax_id}")
    page.ln(LINE_MM)
    buyer = [f"Account {receipt.buyer_id}"]
    _draw_party(page, "Buyer", [receipt.buyer_email, *buyer] if receipt.buyer_email else buyer)
    page.ln(LINE_MM)
    page.paragraph(f"Date: {receipt.issued_at.astimezone(UTC).date().isoformat()}")
    page.paragraph(f"Payment reference: {receipt.payment_reference}")
    page.paragraph(f"Paid by: {GATEWAY_NAMES.get(receipt.gateway, receipt.gateway)}")
    page.ln(LINE_MM)


def _draw_party(page: _Page, role: str, lines: Sequence[str]) -> None:
    page.write_in(SIZE_SMALL_PT)
    page.paragraph(role)
    page.write_in(SIZE_PT)
    for line in lines:
        page.paragraph(line)


def _draw_lines(page: _Page, lines: Sequence[ReceiptLine]) -> None:
    page.row(["Date", "Credits bought", "Paid"], COLUMNS_MM)
    for line in lines:
        day = line.credited_at.astimezone(UTC).date().isoformat()
        bought = _amount(line.credits, line.credit_asset)
        page.row([day, bought, _amount(line.received, line.received_asset)], COLUMNS_MM, rule=True)


def _draw_total(page: _Page, total: Total, tax_rate: Decimal) -> None:
    label, amount = sum(COLUMNS_MM[:-1]), COLUMNS_MM[-1]
    page.row(["Net", _amount(total.net, total.asset)], (label, amount), rule=True)
    page.row([f"Tax {_percent(tax_rate)} %, included", _amount(total.tax, total.asset)], (label, amount))
    page.row(["Total", _amount(total.total, total.asset)], (label, amount), rule=True)


def _amount(units: int, asset: str) -> str:
    return f"{format_units(units, asset)} {Asset.parse(asset).code}"


def _percent(rate: Decimal) -> str:
    text = format(rate * 100, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
