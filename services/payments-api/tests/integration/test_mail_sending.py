"""Mails on their way to a real SMTP server: sent once, again when it may pass, given up when it never will."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from chassis.runtime import StopSignal
from payments_api.application.notifying_sending import ATTEMPTS_MAX, Sending
from payments_api.bootstrap.mail import MailParts
from payments_api.domain.deciding import ReportFailedAttempt
from testkit.secured_kafka import Authority
from testkit.waiting_for import eventually

from .conftest import Shop, running
from .mail_sink import mail_sink
from .mail_story import apply, begun, credited, with_mail


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server on this machine shows, and what trusts it."""
    authority = Authority()
    chain, key = authority.server_identity()
    (tmp_path / "chain.pem").write_bytes(chain)
    (tmp_path / "key.pem").write_bytes(key)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    return served, ssl.create_default_context(cadata=authority.certificate.decode())


def sending(parts: MailParts) -> Sending:
    assert parts.sending is not None
    return parts.sending


async def failed(shop: Shop, parts: MailParts, **about: Any) -> Any:
    payment = await begun(shop, **about)
    await apply(shop, parts, payment, ReportFailedAttempt("declined", "no luck"))
    return payment


async def due_again(shop: Shop) -> None:
    await shop.pool.execute("UPDATE mails SET next_attempt_at = clock_timestamp()")


async def only_mail(shop: Shop) -> Any:
    return await shop.pool.fetchrow("SELECT *, next_attempt_at - clock_timestamp() AS pause FROM mails")


@pytest.mark.asyncio
async def test_a_failed_payment_is_told_with_a_way_to_try_again(shop: Shop) -> None:
    async with mail_sink() as sink:
        parts = with_mail(shop, sink.port)
        payment = await failed(shop, parts)
        assert await sending(parts).send_due() == 1
        assert await sending(parts).send_due() == 0
    (taken,) = sink.taken
    assert (taken.sender, taken.recipient) == ("billing@shop.test", "alice@example.org")
    assert taken.message["Subject"] == f"Your payment {payment['reference']} failed"
    for part in (taken.part("plain"), taken.part("html")):
        assert f"https://shop.test/payments/{payment['payment_id']}" in part
        assert "25.00 USD" in part
        assert "no luck" in part
        assert payment["reference"] in part
    mail = await only_mail(shop)
    assert mail["sent_at"] is not None
    assert mail["attempts"] == 1
    assert taken.message["Message-ID"] == f"<{mail['id']}@shop.test>"


@pytest.mark.asyncio
async def test_a_success_brings_the_receipt(shop: Shop) -> None:
    async with mail_sink() as sink:
        parts = with_mail(shop, sink.port)
        payment = await begun(shop)
        await apply(shop, parts, payment, credited())
        await sending(parts).send_due()
    (taken,) = sink.taken
    for part in (taken.part("plain"), taken.part("html")):
        assert f"https://shop.test/api/payments/{payment['payment_id']}/receipt.pdf" in part
        assert "25.00 USD" in part
        assert "25.00 TFC" in part
        assert "2026-000001" in part
        assert payment["reference"] in part
    (attached,) = taken.message.iter_attachments()
    receipt = await parts.receipts.of_anybody(payment["payment_id"])
    assert receipt is not None
    assert (attached.get_filename(), attached.get_content()) == ("receipt-2026-000001.pdf", parts.drawing(receipt))


@pytest.mark.asyncio
@pytest.mark.parametrize("step", ["at_recipient", "at_data"])
async def test_what_may_pass_is_sent_later(shop: Shop, step: str) -> None:
    async with mail_sink(**{step: ["451 4.7.1 later"]}) as sink:
        parts = with_mail(shop, sink.port)
        await failed(shop, parts)
        assert await sending(parts).send_due() == 0
        mail = await only_mail(shop)
        assert mail["sent_at"] is None
        assert mail["given_up_at"] is None
        assert "451" in mail["last_error"]
        assert 50 < mail["pause"].total_seconds() <= 60
        assert await sending(parts).send_due() == 0, "not before its time"
        await due_again(shop)
        assert await sending(parts).send_due() == 1
    mail = await only_mail(shop)
    assert (mail["attempts"], mail["last_error"], len(sink.taken)) == (2, None, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("step", ["at_recipient", "at_data"])
async def test_what_is_refused_for_good_is_given_up_and_stops_nobody(shop: Shop, step: str) -> None:
    async with mail_sink(**{step: ["550 5.1.1 nobody here"]}) as sink:
        parts = with_mail(shop, sink.port)
        await failed(shop, parts, email="nobody@example.org")
        await failed(shop, parts, email="bob@example.org", user_id="bob")
        assert await sending(parts).send_due() == 1
        await due_again(shop)
        assert await sending(parts).send_due() == 0
    assert [taken.recipient for taken in sink.taken] == ["bob@example.org"]
    given_up = await shop.pool.fetchrow("SELECT recipient, last_error FROM mails WHERE given_up_at IS NOT NULL")
    assert given_up["recipient"] == "nobody@example.org"
    assert "550" in given_up["last_error"]


@pytest.mark.asyncio
@pytest.mark.parametrize("address", ["a,b@example.org", "(x)@example.org", "a;b@example.org"])
async def test_what_is_no_address_is_given_up(shop: Shop, address: str) -> None:
    async with mail_sink() as sink:
        parts = with_mail(shop, sink.port)
        await failed(shop, parts, email=address)
        assert await sending(parts).send_due() == 0
    mail = await only_mail(shop)
    assert (mail["given_up_at"] is not None, mail["last_error"]) == (True, "this is not an address")
    assert sink.connections == 0


@pytest.mark.asyncio
async def test_a_server_that_is_away_costs_one_attempt_of_one_mail(shop: Shop) -> None:
    async with mail_sink() as sink:
        port = sink.port
    parts = with_mail(shop, port)
    await failed(shop, parts)
    await failed(shop, parts, user_id="bob")
    assert await sending(parts).send_due() == 0
    assert sorted(await shop.pool.fetch("SELECT attempts FROM mails")) == [(0,), (1,)]
    await due_again(shop)
    async with mail_sink(port=port) as sink:
        assert await sending(parts).send_due() == 2


@pytest.mark.asyncio
async def test_a_server_that_says_nothing_is_left_in_time(shop: Shop) -> None:
    async with mail_sink(is_mute=True) as sink:
        parts = with_mail(shop, sink.port, smtp_timeout_s=0.2)
        await failed(shop, parts)
        assert await sending(parts).send_due() == 0
    mail = await only_mail(shop)
    assert "imeout" in mail["last_error"] or "imed out" in mail["last_error"]


@pytest.mark.asyncio
async def test_a_server_that_answers_slowly_cannot_hold_a_mail_longer_than_allowed(shop: Shop) -> None:
    async with mail_sink(answers_after_s=0.12) as sink:
        parts = with_mail(shop, sink.port, smtp_timeout_s=0.5)
        await failed(shop, parts)
        assert await sending(parts).send_due() == 0
    assert sink.taken == []
    assert (await only_mail(shop))["given_up_at"] is None


@pytest.mark.asyncio
async def test_attempts_end(shop: Shop) -> None:
    async with mail_sink(at_recipient=["451 later"]) as sink:
        parts = with_mail(shop, sink.port)
        await failed(shop, parts)
        await shop.pool.execute("UPDATE mails SET attempts = $1", ATTEMPTS_MAX - 1)
        await sending(parts).send_due()
    assert (await only_mail(shop))["given_up_at"] is not None


@pytest.mark.asyncio
async def test_replicas_do_not_send_the_same(shop: Shop) -> None:
    async with mail_sink() as sink:
        first, second = with_mail(shop, sink.port), with_mail(shop, sink.port)
        for number in range(6):
            await failed(shop, first, user_id=f"user-{number}", email=f"user-{number}@example.org")
        async with running(sending(first).run, sending(second).run):
            await eventually(lambda: len(sink.taken) >= 6)
    assert sorted(taken.recipient for taken in sink.taken) == [f"user-{number}@example.org" for number in range(6)]


@pytest.mark.asyncio
async def test_a_mail_that_another_has_in_hand_is_passed_by(shop: Shop) -> None:
    parts = with_mail(shop, 9)
    payments = [await failed(shop, parts, user_id=user_id) for user_id in ("alice", "bob")]
    async with shop.pool.acquire() as other, other.transaction(), asyncio.timeout(5):
        await other.execute("SELECT 1 FROM mails WHERE payment_id = $1 FOR UPDATE", payments[0]["payment_id"])
        taken = await parts.rows.take_due()
        assert taken is not None
        assert taken.payment_id == payments[1]["payment_id"]
        assert await parts.rows.take_due() is None


@pytest.mark.asyncio
async def test_it_stops_when_asked(shop: Shop) -> None:
    async with mail_sink() as sink:
        parts, stop = with_mail(shop, sink.port), StopSignal()
        await failed(shop, parts)
        stop.set()
        assert await sending(parts).send_due(stop) == 0
    assert sink.taken == []


@pytest.mark.asyncio
@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_the_way_there_is_encrypted_and_signed_in(
    shop: Shop, tls: str, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    served, trusted = certificate
    login = {"smtp_user": "billing", "smtp_password": "a-secret"}
    async with mail_sink(tls=served, login=("billing", "a-secret"), from_the_first_byte=tls == "tls") as sink:
        parts = with_mail(shop, sink.port, trusted=trusted, smtp_tls=tls, **login)
        await failed(shop, parts)
        assert await sending(parts).send_due() == 1
    (taken,) = sink.taken
    assert (taken.was_encrypted, taken.user) == (True, "billing")


@pytest.mark.asyncio
async def test_a_certificate_of_a_stranger_is_not_taken(
    shop: Shop, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    served, _ = certificate
    async with mail_sink(tls=served) as sink:
        parts = with_mail(shop, sink.port, smtp_tls="starttls")
        await failed(shop, parts)
        assert await sending(parts).send_due() == 0
    assert sink.taken == []


@pytest.mark.asyncio
async def test_a_server_that_cannot_encrypt_gets_no_mail_in_plain(shop: Shop) -> None:
    async with mail_sink() as sink:
        parts = with_mail(shop, sink.port, smtp_tls="starttls")
        await failed(shop, parts)
        assert await sending(parts).send_due() == 0
    assert sink.taken == []
    assert (await only_mail(shop))["given_up_at"] is None


@pytest.mark.asyncio
async def test_a_wrong_password_gives_up_no_mail(shop: Shop) -> None:
    async with mail_sink(login=("billing", "another")) as sink:
        parts = with_mail(shop, sink.port, smtp_user="billing", smtp_password="pass-phrase")
        await failed(shop, parts)
        assert await sending(parts).send_due() == 0
    mail = await only_mail(shop)
    assert mail["given_up_at"] is None
    assert "535" in mail["last_error"]
    assert "pass-phrase" not in mail["last_error"]
