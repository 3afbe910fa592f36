"""``reconcile`` as it is typed: exit codes and outputs, with the simulated Stripe and a ledger on the loopback."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from chassis.clock import ManualClock
from chassis.ids import SequenceIds
from embedded.gateway_simulators.stripe.app import create_stripe_simulator
from embedded.gateway_simulators.stripe.webhooks import Webhooks
from embedded.provisioning import DatabaseAccess
from gateway_ingest.entrypoints import reconcile_command

from .books_stand_in import StandInLedger, served
from .conftest import SECRET, TOKEN, settings
from .test_process import command, environment

pytestmark = pytest.mark.asyncio
DAY = ("--from", "2026-01-01", "--to", "2026-01-02")


class Desk:
    """Where an operator sits."""

    def __init__(self, stripe: httpx.AsyncClient, ledger: StandInLedger, told: Mapping[str, str]) -> None:
        self._stripe = stripe
        self.ledger = ledger
        self.environment = told

    async def types(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Exit code and both outputs."""
        return await command({**self.environment, **environment}, "reconcile", "--gateway", "stripe", *arguments)

    async def paid(self) -> str:
        """The id of a payment that nobody was told of."""
        form = {"amount": "2500", "currency": "usd", "metadata[user_id]": "alice"}
        headers = {"authorization": "Bearer sk_test_x"}
        intent = (await self._stripe.post("/v1/payment_intents", data=form, headers=headers)).json()
        assert (await self._stripe.post(f"/simulate/payments/{intent['id']}", json={})).status_code == 200
        return str(intent["id"])


@pytest_asyncio.fixture
async def desk(ingest_database: DatabaseAccess) -> AsyncIterator[Desk]:
    clock, ledger = ManualClock(), StandInLedger()
    webhooks = Webhooks("http://nowhere", SECRET.encode(), clock)
    webhooks.mode = "lose"
    simulator = create_stripe_simulator(webhooks, clock, SequenceIds(), "http://stripe")
    async with (
        served(simulator) as base,
        served(ledger.application()) as books,
        httpx.AsyncClient(base_url=base, trust_env=False) as stripe,
    ):
        told = environment(ingest_database, "memory://", 8001) | {
            "SERVICE_TOKEN": TOKEN,
            "STRIPE_SECRET_KEY": "sk_test_verysecret",
            "STRIPE_API_BASE": base,
            "LEDGER_URL": books,
        }
        yield Desk(stripe, ledger, told)


async def test_found_repaired_and_nothing_left(desk: Desk, tmp_path: Path) -> None:
    payment, file = await desk.paid(), tmp_path / "found.csv"
    code, out, err = await desk.types(*DAY, "--csv", str(file))
    assert (code, payment in out, "1 paid_not_credited" in out) == (1, True, True)
    # Nobody watches a bar that is not on a terminal.
    assert "paid at stripe" not in err
    (row,) = csv.DictReader(file.read_text().splitlines())
    assert (row["payment_id"], row["kind"], row["gateway_received"], row["done"]) == (
        payment, "paid_not_credited", "25.00", "left",
    )  # fmt: skip

    code, out, err = await desk.types(*DAY, "--repair", "--json")
    told = json.loads(out)
    assert (code, told["open"], told["findings"][0]["done"]) == (0, 0, "repaired")
    assert "payment_reconciled" in err

    desk.ledger.book(payment, ManualClock().now())
    code, out, _ = await desk.types(*DAY)
    assert (code, out) == (0, "1 paid at stripe, 1 on the books: nothing differs\n")


@pytest.mark.parametrize(
    ("arguments", "told", "says"),
    [
        (("--from", "soon", "--to", "2026-01-02"), {}, "error: --from is neither"),
        (DAY, {"LEDGER_URL": ""}, "error: LEDGER_URL is not set"),
        (DAY, {"LEDGER_URL": "http://127.0.0.1:9"}, "error: the ledger cannot be reached"),
        (DAY, {"SERVICE_TOKEN": "wrong"}, "error: the ledger refuses our token"),
        (DAY, {"STRIPE_SECRET_KEY": ""}, "error: STRIPE_SECRET_KEY is not set"),
        (DAY, {"STRIPE_SECRET_KEY": "sk_live_verysecret"}, "error: stripe refuses our key"),
        (DAY, {"STRIPE_API_BASE": "http://127.0.0.1:9"}, "error: stripe: APIConnectionError ConnectError"),
        (DAY, {"RAW_EVENT_KEY": ""}, "error: gateway-ingest: RAW_EVENT_KEY is not set"),
        (DAY, {"DATABASE_URL": "postgresql://x@127.0.0.1:9/x"}, "error: no connection to the database"),
        ((*DAY, "--csv", "/nowhere/found.csv"), {}, "error: "),
    ],
)
async def test_what_cannot_be_done_is_one_line_and_2(
    desk: Desk, arguments: tuple[str, ...], told: dict[str, str], says: str
) -> None:
    await desk.paid()
    code, out, err = await desk.types(*arguments, "--repair", **told)
    *logged, line = err.splitlines()
    assert (code, out, line.startswith(says)) == (2, "", True), err
    assert all(json.loads(one)["level"] == "warning" for one in logged)
    assert "verysecret" not in line


async def test_a_gateway_that_is_not_set_up_may_end_well(desk: Desk) -> None:
    without = {"STRIPE_SECRET_KEY": ""}
    assert await desk.types(*DAY, "--if-set-up", **without) == (
        0, "", "nothing to compare: STRIPE_SECRET_KEY is not set: Stripe is asked by it\n",
    )  # fmt: skip
    await desk.paid()
    assert (await desk.types(*DAY, "--if-set-up"))[0] == 1


async def test_the_schedule_asks_for_whole_days(
    desk: Desk, ingest_database: DatabaseAccess, capsys: pytest.CaptureFixture[str]
) -> None:
    payment, parser = await desk.paid(), argparse.ArgumentParser()
    names = ("STRIPE_SECRET_KEY", "STRIPE_API_BASE", "LEDGER_URL")
    told = settings(ingest_database.app_dsn, **{name.lower(): desk.environment[name] for name in names})
    reconcile_command.add_arguments(parser)
    asked = parser.parse_args(["--gateway", "stripe", "--days", "1", "--json"])
    await reconcile_command.reconcile(told, asked, datetime(2026, 1, 2, 1, tzinfo=UTC))
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (printed["from"], printed["to"]) == ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    assert [finding["payment_id"] for finding in printed["findings"]] == [payment]


async def test_the_bar_is_drawn_where_somebody_watches() -> None:
    class Terminal:
        """What rich asks of a terminal."""

        def __init__(self) -> None:
            self.shown = ""

        def write(self, text: str) -> int:
            self.shown += text
            return len(text)

        def flush(self) -> None:
            return None

        def isatty(self) -> bool:
            return True

    terminal: Any = Terminal()
    with reconcile_command.Bar(terminal) as bar:
        bar.begin("on the books", 2)
        bar.step(2)
    assert "on the books" in terminal.shown
    assert "2/2" in terminal.shown
