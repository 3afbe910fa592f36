"""The server that takes our mail: one connection per mail, bounded in time, never less encrypted than asked for.

What is the mail's own fault is told apart from what may pass: only a refused recipient, refused words, or an address
that the server cannot take ends a mail.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import aiosmtplib

from payments_api.adapters.mail.wording import Wording
from payments_api.application.notifying_sending import DueMail, MailAway, MailRefused

PERMANENT = 500


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is, and who we are there. ``trusted`` is what its certificate is held against, by default the system's
    authorities."""

    host: str
    port: int
    tls: Literal["none", "starttls", "tls"]
    timeout_s: float
    user: str | None = None
    password: str | None = None
    trusted: ssl.SSLContext | None = None


class SmtpPost:
    """See application.notifying_sending.Post. ``receipt_pdf`` answers the document of a payment, if it has one."""

    def __init__(self, server: Server, wording: Wording, receipt_pdf: Callable[[str], Awaitable[bytes | None]]) -> None:
        self._server = server
        self._wording = wording
        self._receipt_pdf = receipt_pdf

    async def send(self, mail: DueMail) -> None:
        """See the port."""
        pdf = await self._receipt_pdf(mail.payment_id) if mail.kind == "credited" else None
        message = self._wording.message(mail, pdf)
        try:
            async with asyncio.timeout(self._server.timeout_s):
                async with self._client() as client:
                    await client.send_message(message, recipients=[mail.recipient])
        except aiosmtplib.SMTPException as error:
            raise _judged(error) from error
        except (OSError, TimeoutError) as error:
            raise MailAway(f"{type(error).__name__}: {error}") from error

    def _client(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            timeout=server.timeout_s,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            tls_context=server.trusted,
        )


def _judged(error: aiosmtplib.SMTPException) -> MailAway | MailRefused:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        refused = error.recipients
        is_final = all(one.code >= PERMANENT for one in refused)
        text = "; ".join(f"{one.code} {one.message}" for one in refused)
        return MailRefused(text) if is_final else MailAway(text)
    if isinstance(error, aiosmtplib.SMTPDataError) and error.code >= PERMANENT:
        return MailRefused(f"{error.code} {error.message}")
    return MailAway(f"{type(error).__name__}: {error}")
