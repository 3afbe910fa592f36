"""The whole way: a message of the bus becomes a mail and a receipt that can be fetched."""

from __future__ import annotations

import pytest

from testkit.waiting_for import eventually

from .conftest import OpenShop, running
from .mail_sink import mail_sink
from .mail_story import SENDER, begun
from .payment_story import failed, purchased


@pytest.mark.asyncio
async def test_what_the_bus_tells_is_mailed_once_and_can_be_fetched(open_shop: OpenShop) -> None:
    async with mail_sink() as sink:
        server = {"smtp_host": "127.0.0.1", "smtp_port": sink.port, "smtp_tls": "none", "mail_from": SENDER}
        async with open_shop(**server) as shop:
            payment = await begun(shop)
            reference = payment["reference"]
            # Two topics have no order between them: a failure that is heard after the credits is rightly not told.
            await shop.deliver(failed(reference), failed(reference))
            await shop.deliver(purchased(reference), purchased(reference))
            async with running(shop.parts.mail.sending.run):
                await eventually(lambda: len(sink.taken) >= 2)
            path = f"/api/payments/{payment['payment_id']}/receipt.pdf"
            answer = await shop.http.get(path, headers=await shop.sign_in("alice"))
            assert await shop.pool.fetchval("SELECT count(*) FROM dead_letters") == 0
            assert await shop.pool.fetchval("SELECT count(*) FROM mails") == 2
    assert [taken.message["Subject"] for taken in sink.taken] == [
        f"Your payment {reference} failed",
        f"Receipt 2026-000001: your payment {reference}",
    ]
    assert (answer.status_code, answer.content[:5]) == (200, b"%PDF-")
