"""How mails are worded: a text and an HTML part from the templates beside, the receipt attached.

Whatever comes from outside is escaped in HTML and kept out of headers but for the address, which must be one.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from chassis.clock import Clock
from payments_api.application.notifying import Kind
from payments_api.application.notifying_sending import DueMail, MailRefused

TEMPLATES = Path(__file__).resolve().parent / "templates"
SUBJECTS: Mapping[Kind, str] = {
    "failed": "Your payment {reference} failed",
    "credited": "Receipt {receipt}: your payment {reference}",
    "renewal": "Your subscription: {amount} to pay, {reference}",
    "purchase_refused": "{service} could not be bought",
}


class Wording:
    """Makes messages. ``frontend_url`` is where people's browsers reach us, ``seller_name`` who signs."""

    def __init__(self, mail_from: str, frontend_url: str, seller_name: str, clock: Clock) -> None:
        self._from = mail_from
        self._frontend_url = frontend_url.rstrip("/")
        self._seller_name = seller_name
        self._clock = clock
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            keep_trailing_newline=True,
        )

    def message(self, mail: DueMail, receipt_pdf: bytes | None = None) -> EmailMessage:
        """The whole message. Raises MailRefused where the address is none."""
        message = EmailMessage()
        message["From"] = self._from
        message["To"] = _address(mail.recipient)
        message["Subject"] = SUBJECTS[mail.kind].format_map(mail.facts)
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = f"<{mail.id}@{message['From'].addresses[0].domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self._part(mail, "txt"))
        message.add_alternative(self._part(mail, "html"), subtype="html")
        if receipt_pdf is not None:
            name = f"receipt-{mail.facts['receipt']}.pdf"
            message.add_attachment(receipt_pdf, maintype="application", subtype="pdf", filename=name)
        return message

    def _part(self, mail: DueMail, kind: str) -> str:
        return self._templates.get_template(f"{mail.kind}.{kind}").render(
            **mail.facts,
            seller_name=self._seller_name,
            retry_url=f"{self._frontend_url}/payments/{mail.payment_id}",
            receipt_url=f"{self._frontend_url}/api/payments/{mail.payment_id}/receipt.pdf",
        )


def _address(recipient: str) -> Address:
    try:
        address = Address(addr_spec=recipient)
    except (MessageError, ValueError, IndexError) as error:
        raise MailRefused("this is not an address") from error
    if not address.domain:
        raise MailRefused("this is not an address")
    return address
