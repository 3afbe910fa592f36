"""What the tests of mail and receipts speak in: settings of mail, and news that are applied as the consumer does."""

from __future__ import annotations

from typing import Any

from payments_api.bootstrap.mail import MailParts, mail_parts
from payments_api.domain.deciding import Command, ReportCredited, ReportFailedAttempt
from payments_api.settings.mail import MailSettings

from .conftest import Shop, exact
from .payment_story import initiate

FRONTEND = "https://shop.test/"
SHARED: dict[str, Any] = {
    "database_url": "postgresql://nowhere",
    "bus_url": "memory://",
    "service_token": "t",
    "port": 8000,
}
SENDER = "Gridledger <billing@shop.test>"


def settings(**given: Any) -> MailSettings:
    return MailSettings(**SHARED | given)


def with_mail(shop: Shop, port: int, *, trusted: Any = None, **given: Any) -> MailParts:
    """Mail by the server at ``port`` of this machine."""
    chosen = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_tls": "none", "mail_from": SENDER} | given
    return mail_parts(settings(**chosen), FRONTEND, shop.pool, shop.clock, trusted=trusted)


def without_mail(shop: Shop, **given: Any) -> MailParts:
    return mail_parts(settings(**given), FRONTEND, shop.pool, shop.clock)


async def begun(shop: Shop, email: str | None = "alice@example.org", user_id: str = "alice") -> Any:
    """A payment of 25 dollars."""
    answer = await initiate(shop, await shop.sign_in(user_id), customer_email=email)
    assert answer.status_code == 200, answer.text
    return exact(answer)


def credited(piece: str = "p1", *, units: int = 2500, bought: int = 2500, asset: str = "USD/2") -> ReportCredited:
    return ReportCredited(asset, units, "TFC/2", bought, "quote", piece)


async def apply(shop: Shop, parts: MailParts, payment: Any, command: Command) -> None:
    """The news in one transaction, told of."""
    async with shop.pool.acquire() as conn, conn.transaction():
        await apply_within(conn, shop, parts, payment, command)


async def apply_within(conn: Any, shop: Shop, parts: MailParts, payment: Any, command: Command) -> None:
    before = await shop.parts.payments.load(conn, payment["payment_id"])
    after = await shop.parts.payments.save(conn, before, [command])
    if isinstance(command, ReportFailedAttempt):
        await parts.notifying.on_failed(conn, before, after)
    if isinstance(command, ReportCredited):
        await parts.notifying.on_credited(conn, before, after, command)
