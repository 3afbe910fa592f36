"""Reconciling with the simulated Stripe, whose webhooks are all lost: what is found, what a repair publishes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from chassis.errors import OperationalError
from chassis.ids import SequenceIds
from contracts.references import make_reference
from embedded.gateway_simulators.stripe.app import create_stripe_simulator
from embedded.gateway_simulators.stripe.webhooks import Webhooks
from gateway_ingest.adapters.gateway_lists.stripe import StripeList
from gateway_ingest.adapters.gateway_lists.stripe_connection import StripeAccess, StripeReader
from gateway_ingest.adapters.gateways.stripe.invoices import reference_of
from gateway_ingest.adapters.ledger_http import HttpLedger
from gateway_ingest.application.reconciling import Done, Reconciliation, Report
from gateway_ingest.domain.reconciling import Kind, Window

from .books_stand_in import StandInLedger, served
from .conftest import SECRET, TOKEN, Gateway

pytestmark = pytest.mark.asyncio
KEY = "sk_test_x"
REFERENCE = make_reference(5)
INTENT = {"amount": "2500", "currency": "usd", "metadata[reference]": REFERENCE, "metadata[user_id]": "alice"}
SUBSCRIBING = {
    "mode": "subscription",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][unit_amount]": "2500",
    "line_items[0][price_data][recurring][interval]": "month",
    "success_url": "https://shop.example/credits/success",
    "subscription_data[metadata][subscription_id]": "s-1",
}
DAY_S = 24 * 3600


class Watched:
    """Counts what it is shown."""

    def __init__(self) -> None:
        self.phases: dict[str, tuple[int | None, int]] = {}
        self._phase = ""

    def begin(self, phase: str, total: int | None) -> None:
        self._phase = phase
        self.phases[phase] = total, 0

    def step(self, count: int = 1) -> None:
        total, done = self.phases[self._phase]
        self.phases[self._phase] = total, done + count


class World:
    """Stripe, whose webhooks never come; the books, as a test writes them; and what compares them."""

    def __init__(self, ingest: Gateway, http: httpx.AsyncClient, base: str, books: str, ledger: StandInLedger) -> None:
        self.ingest, self.http, self.ledger = ingest, http, ledger
        self.stripe = StripeReader(StripeAccess(KEY, 10.0, api_base=base))
        self.books = HttpLedger(books, SecretStr(TOKEN))
        self.watched = Watched()
        keeper = ingest.service.intake
        self.reconciliation = Reconciliation("stripe", StripeList(self.stripe), self.books, keeper, self.watched)
        self.start = ingest.clock.now()

    async def call(self, path: str, **form: str) -> Any:
        answer = await self.http.post(f"/v1/{path}", data=form, headers={"authorization": f"Bearer {KEY}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def simulate(self, path: str, **body: Any) -> Any:
        answer = await self.http.post(f"/simulate/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def paid(self, *, booked: bool = False, **body: Any) -> str:
        """The id of an intent that was paid now."""
        intent = await self.call("payment_intents", **INTENT)
        await self.simulate(f"payments/{intent['id']}", **body)
        if booked:
            self.ledger.book(intent["id"], self.ingest.clock.now())
        return str(intent["id"])

    async def run(self, *, repair: bool = False, days: int = 1, after: int = 0) -> Report:
        since = self.start + timedelta(days=after)
        return await self.reconciliation.run(Window(since, since + timedelta(days=days)), repair=repair)

    async def found(self, **asked: Any) -> list[tuple[str, Kind, Done]]:
        report = await self.run(**asked)
        return [(each.difference.payment_id, each.difference.kind, each.done) for each in report.findings]


@asynccontextmanager
async def standing(open_gateway: Any) -> AsyncIterator[World]:
    async with open_gateway() as ingest:
        webhooks = Webhooks("http://nowhere", SECRET.encode(), ingest.clock)
        webhooks.mode = "lose"
        simulator = create_stripe_simulator(webhooks, ingest.clock, SequenceIds(), "http://stripe")
        ledger = StandInLedger()
        async with AsyncExitStack() as stack:
            base = await stack.enter_async_context(served(simulator))
            books = await stack.enter_async_context(served(ledger.application()))
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=base, trust_env=False))
            world = World(ingest, http, base, books, ledger)
            stack.push_async_callback(world.stripe.close)
            await stack.enter_async_context(world.books)
            yield world


async def test_what_was_paid_and_never_told_is_found_and_published_once(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        known, orphan = await world.paid(booked=True), await world.paid()
        await world.call("payment_intents", **INTENT)  # nobody paid it
        report = await world.run()
        assert (report.listed_count, report.credited_count) == (2, 1)
        (finding,) = report.findings
        assert (finding.difference.payment_id, finding.difference.kind) == (orphan, Kind.PAID_NOT_CREDITED)
        assert finding.is_open
        assert finding.difference.reference == REFERENCE
        assert await world.ingest.outgoing() == []

        assert await world.found(repair=True) == [(orphan, Kind.PAID_NOT_CREDITED, Done.REPAIRED)]
        confirmed, fee = await world.ingest.outgoing()
        assert (confirmed["gateway_payment_id"], confirmed["received"]) == (
            orphan,
            {"amount": "25.00", "asset": "USD/2"},
        )
        assert (confirmed["reference"], confirmed["user_id"]) == (REFERENCE, "alice")
        assert confirmed["paid_at"] == "2026-01-01T00:00:00Z"
        assert (fee["gateway_payment_id"], fee["amount"]["amount"]) == (orphan, "1.03")
        kept = await world.ingest.kept()
        assert next(event for event, _, _ in kept) == f"reconciled.{orphan}.confirmed"

        # Told, and for whatever reason not booked: said, and not published again.
        assert await world.found(repair=True) == [(orphan, Kind.PAID_NOT_CREDITED, Done.TOLD_BEFORE)]
        assert len(await world.ingest.outgoing()) == 2
        world.ledger.book(orphan, world.start)
        assert await world.found() == []
        assert known != orphan
        assert world.watched.phases == {
            "paid at stripe": (None, 2), "on the books": (2, 2), "repairing": (1, 1),
        }  # fmt: skip


async def test_a_refund_that_only_stripe_knows_is_told(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        payment = await world.paid(booked=True)
        refund = await world.call("refunds", payment_intent=payment, amount="1000")
        assert await world.found() == [(payment, Kind.AMOUNT_DIFFERS, Done.LEFT)]
        assert await world.found(repair=True) == [(payment, Kind.AMOUNT_DIFFERS, Done.REPAIRED)]
        told = await world.ingest.outgoing()
        assert [message["refund_id"] for message in told if "refund_id" in message] == [refund["id"]]
        # That it was paid is known: telling it again is left out.
        assert [message for message in told if "received" in message] == []
        world.ledger.payments["stripe", payment]["returned"] = "10.00"
        assert await world.found() == []


async def test_a_refund_that_stripe_took_back_is_for_a_person(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        payment = await world.paid(booked=True)
        refund = await world.call("refunds", payment_intent=payment, amount="1000")
        await world.simulate(f"refunds/{refund['id']}", state="failed")
        world.ledger.payments["stripe", payment]["returned"] = "10.00"
        assert await world.found(repair=True) == [(payment, Kind.AMOUNT_DIFFERS, Done.LEFT)]
        assert await world.ingest.outgoing() == []


async def test_an_orphan_that_was_refunded_and_disputed_is_told_with_all_of_it(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        payment = await world.paid()
        await world.call("refunds", payment_intent=payment, amount="500")
        dispute = await world.simulate(f"payments/{payment}/disputes", amount=2000)
        await world.simulate(f"disputes/{dispute['id']}", status="lost")
        (finding,) = (await world.run(repair=True)).findings
        assert finding.difference.listed is not None
        assert finding.difference.listed.returned_units == 2500
        told = await world.ingest.outgoing()
        names = ("received", "refund_id", "dispute_id", "fee_id")
        kinds = [next(name for name in names if name in message) for message in told]
        assert kinds == ["received", "fee_id", "refund_id", "dispute_id", "fee_id"]
        # A lost dispute is money that is back, here and there.
        world.ledger.book(payment, world.start, returned=2500)
        assert await world.found() == []


async def test_an_orphan_of_a_subscription_is_told_with_its_period(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        session = await world.call("checkout/sessions", **SUBSCRIBING)
        await world.simulate(f"sessions/{session['id']}/agree")
        (finding,) = (await world.run(repair=True)).findings
        assert (finding.difference.reference, finding.done) == (None, Done.REPAIRED)
        confirmed, period, fee = await world.ingest.outgoing()
        assert confirmed["gateway_payment_id"] == fee["gateway_payment_id"] == finding.difference.payment_id
        assert (period["subscription_id"], period["state"]) == ("s-1", "paid")
        # The reference is what binds them, and what the invoice's own webhooks would name.
        assert confirmed["reference"] == period["payment_reference"] == reference_of(period["gateway_invoice_id"])


async def test_a_refund_of_a_subscription_does_not_tell_its_period_again(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        session = await world.call("checkout/sessions", **SUBSCRIBING)
        await world.simulate(f"sessions/{session['id']}/agree")
        (payment,) = [found for found, _, _ in await world.found()]
        world.ledger.book(payment, world.start)
        await world.call("refunds", payment_intent=payment)
        assert await world.found(repair=True) == [(payment, Kind.AMOUNT_DIFFERS, Done.REPAIRED)]
        assert [message["gateway_payment_id"] for message in await world.ingest.outgoing()] == [payment] * 2


async def test_what_stripe_does_not_have_as_paid_is_found_and_never_touched(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        unpaid = (await world.call("payment_intents", **INTENT))["id"]
        world.ledger.book("pi_ghost", world.start)
        world.ledger.book(unpaid, world.start)
        world.ledger.book("pi_of_another_day", world.start + timedelta(days=1))
        found = await world.found(repair=True)
        assert sorted(found) == sorted((payment, Kind.CREDITED_NOT_PAID, Done.LEFT) for payment in ("pi_ghost", unpaid))
        assert await world.ingest.kept() == []
        assert (await world.run()).credited_count == 2


async def test_other_amounts_and_money_of_nobody_are_found_and_never_touched(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        less, nobody_s = await world.paid(), await world.paid()
        world.ledger.book(less, world.start, 2400)
        world.ledger.book(nobody_s, world.start, user_id=None)
        assert sorted(await world.found(repair=True)) == sorted(
            [(less, Kind.AMOUNT_DIFFERS, Done.LEFT), (nobody_s, Kind.UNALLOCATED, Done.LEFT)]
        )
        assert await world.ingest.kept() == []


async def test_when_it_was_paid_decides_for_which_day_it_is(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        intent = await world.call("payment_intents", **INTENT)
        world.ingest.clock.advance(DAY_S - 60)
        early = await world.paid()
        world.ingest.clock.advance(120)
        await world.simulate(f"payments/{intent['id']}")
        assert [payment for payment, _, _ in await world.found()] == [early]
        # Begun the day before.
        assert [payment for payment, _, _ in await world.found(after=1)] == [intent["id"]]


async def test_a_payment_begun_long_before_is_asked_for_by_itself(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        intent = await world.call("payment_intents", **INTENT)
        world.ingest.clock.advance(5 * DAY_S)
        await world.simulate(f"payments/{intent['id']}")
        world.ledger.book(intent["id"], world.ingest.clock.now())
        report = await world.run(after=5)
        assert (report.listed_count, report.credited_count, report.findings) == (1, 1, [])
        world.ledger.payments["stripe", intent["id"]]["received"] = "24.00"
        assert await world.found(after=5) == [(intent["id"], Kind.AMOUNT_DIFFERS, Done.LEFT)]
        # That it was booked in the margin of another day is no finding there.
        assert await world.found(after=4) == []


async def test_more_payments_than_a_page_holds(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        payments = [await world.paid() for _ in range(103)]
        assert {payment for payment, _, _ in await world.found()} == set(payments)
        assert world.watched.phases["paid at stripe"] == (None, 103)


async def test_a_key_that_stripe_refuses_is_named_and_never_shown(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        stripe = StripeReader(StripeAccess("sk_live_secret", 5.0, api_base=str(world.http.base_url)))
        refused = Reconciliation("stripe", StripeList(stripe), world.books, world.ingest.service.intake, Watched())
        with pytest.raises(OperationalError, match="refuses our key") as told:
            await refused.run(Window(world.start, world.start + timedelta(days=1)), repair=False)
        assert "sk_live" not in str(told.value)
        await stripe.close()


async def test_stripe_away_ends_the_run(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        await world.simulate("silence", calls=100)
        with pytest.raises(OperationalError, match="stripe"):
            await world.run()


async def test_a_ledger_that_does_not_know_us_ends_the_run(open_gateway: Any) -> None:
    async with standing(open_gateway) as world:
        await world.paid()
        books = HttpLedger(str(world.books._client.base_url), SecretStr("another"))
        listing = StripeList(world.stripe)
        refused = Reconciliation("stripe", listing, books, world.ingest.service.intake, Watched())
        async with books:
            with pytest.raises(OperationalError, match="SERVICE_TOKEN"):
                await refused.run(Window(world.start, world.start + timedelta(days=1)), repair=True)
        assert await world.ingest.kept() == []
