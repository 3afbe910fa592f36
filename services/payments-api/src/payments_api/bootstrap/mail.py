"""Mail and receipts, put together from their settings."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any

import asyncpg

from chassis.clock import Clock
from payments_api.adapters.mail.mail_rows import MailRows
from payments_api.adapters.mail.smtp import Server, SmtpPost
from payments_api.adapters.mail.wording import Wording
from payments_api.adapters.receipt_pdf import ReceiptPdf
from payments_api.adapters.receipt_rows import PostgresReceiptRows
from payments_api.application.notifying import Notifying
from payments_api.application.notifying_sending import Sending
from payments_api.application.receipts import Receipts, Seller
from payments_api.settings.mail import MailSettings


@dataclass(frozen=True)
class MailParts:
    """``sending`` is None where no server takes our mail: then none is written either."""

    receipts: Receipts
    drawing: ReceiptPdf
    rows: MailRows
    notifying: Notifying
    sending: Sending | None


def mail_parts(
    settings: MailSettings,
    frontend_url: str,
    pool: asyncpg.Pool[Any],
    clock: Clock,
    *,
    trusted: ssl.SSLContext | None = None,
) -> MailParts:
    """All of it. ``trusted`` is what the server's certificate is held against, by default the system's authorities."""
    seller = Seller(settings.seller_name, settings.seller_address, settings.seller_tax_id, settings.tax_rate)
    receipts = Receipts(PostgresReceiptRows(pool), seller, clock)
    drawing = ReceiptPdf(settings.receipt_font)
    rows = MailRows(pool)
    post = _post(settings, frontend_url, clock, receipts, drawing, trusted)
    return MailParts(
        receipts=receipts,
        drawing=drawing,
        rows=rows,
        notifying=Notifying(receipts, None if post is None else rows),
        sending=None if post is None else Sending(rows, post),
    )


def _post(
    settings: MailSettings,
    frontend_url: str,
    clock: Clock,
    receipts: Receipts,
    drawing: ReceiptPdf,
    trusted: ssl.SSLContext | None,
) -> SmtpPost | None:
    if settings.smtp_host is None or settings.mail_from is None:
        return None
    password = settings.smtp_password
    server = Server(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_tls,
        settings.smtp_timeout_s,
        settings.smtp_user,
        None if password is None else password.get_secret_value(),
        trusted,
    )
    wording = Wording(settings.mail_from, frontend_url, settings.seller_name, clock)

    async def receipt_pdf(payment_id: str) -> bytes | None:
        receipt = await receipts.of_anybody(payment_id)
        return None if receipt is None else await asyncio.to_thread(drawing, receipt)

    return SmtpPost(server, wording, receipt_pdf)
