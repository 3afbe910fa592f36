"""docker compose up, and a newcomer's first hour: the documentation, the main job, and things that restart."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio

from embedded.demo.clients import Books, Person, Stripe
from embedded.demo.story import tell_story
from testkit.waiting_for import eventually

pytestmark = [pytest.mark.compose, pytest.mark.timeout(400)]

OURS = ("payments-api", "gateway-ingest", "ledger", "deployments", "grid-simulator")
SERVICES = OURS[:-1]
READY_TIMEOUT_S = 90.0
AT_ONCE = 10


@pytest_asyncio.fixture
async def http(stack: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client, once everything says that it is ready."""
    async with httpx.AsyncClient(timeout=20.0, trust_env=False) as client:
        await eventually(lambda: all_ready(stack, client), READY_TIMEOUT_S)
        yield client


@pytest_asyncio.fixture
async def person(stack: Any, http: httpx.AsyncClient) -> Person:
    """Somebody new, signed in."""
    somebody = Person(http, stack.address, f"visitor-{secrets.token_hex(4)}")
    await somebody.sign_in()
    return somebody


async def all_ready(stack: Any, http: httpx.AsyncClient) -> bool:
    for service in SERVICES:
        port = stack.environment[f"{service.replace('-', '_').upper()}_PORT"]
        try:
            answer = await http.get(f"http://127.0.0.1:{port}/readyz")
        except httpx.TransportError as silence:
            raise AssertionError(f"{service}: {silence!r}") from None
        assert answer.status_code == httpx.codes.OK, f"{service}: {answer.text}"
    return True


async def pay(stack: Any, http: httpx.AsyncClient, person: Person, cents: int, times: int = 1) -> None:
    """One payment, told of ``times`` times at once."""
    event, intent = f"evt_{secrets.token_hex(8)}", f"pi_{secrets.token_hex(8)}"
    stripe = Stripe(http, stack.address)
    await asyncio.gather(*(stripe.payment_succeeded(event, intent, cents, person.user_id) for _ in range(times)))


async def balance_becomes(person: Person, amount: str) -> None:
    async def reached() -> bool:
        assert (await person.balance())["balance"] == Decimal(amount)
        return True

    await eventually(reached, READY_TIMEOUT_S)


async def ends_as(person: Person, deployment_id: str, status: str) -> dict[str, Any]:
    async def reached() -> dict[str, Any]:
        shown = await person.deployment(deployment_id)
        assert shown["status"] == status
        return shown

    return await eventually(reached, READY_TIMEOUT_S)


async def earned(books: Books, person: Person, account: str, deployment_id: str) -> Decimal:
    lines = await books.postings(account, await books.position(person.user_id))
    of_ours = [line for line in lines if line["reference"].startswith(f"deployment:{deployment_id}:")]
    return sum((Decimal(line["amount"]) for line in of_ours), Decimal("0.00"))


@pytest.mark.asyncio
async def test_a_newcomer_finds_the_documentation(stack: Any, http: httpx.AsyncClient) -> None:
    page = await http.get(f"{stack.address.payments_api}/docs")
    assert page.status_code == httpx.codes.OK
    assert page.headers["content-type"].startswith("text/html")
    assert "/api/marketplace/buy-now" in page.text


@pytest.mark.asyncio
async def test_the_story_of_the_demo_holds(stack: Any, http: httpx.AsyncClient) -> None:
    told = await tell_story(stack.address, lambda step: None)
    checks = [*(check for step in told.steps for check in step.checks), *told.closing]
    assert len(checks) > 10
    assert [check for check in checks if not check.holds] == []


@pytest.mark.asyncio
async def test_the_main_job(stack: Any, http: httpx.AsyncClient, person: Person) -> None:
    books = Books(http, stack.address)
    await pay(stack, http, person, 2500, times=AT_ONCE)
    await balance_becomes(person, "25.00")

    works = (await person.buy("web-server"))["deployment_id"]
    shown = await ends_as(person, works, "active")
    assert (shown["commission_amount"], shown["grid_payment_amount"]) == (Decimal("1.00"), Decimal("9.00"))
    await balance_becomes(person, "15.00")

    fails = (await person.buy("demo-fails"))["deployment_id"]
    await ends_as(person, fails, "failed")
    await balance_becomes(person, "15.00")
    assert await earned(books, person, "platform:commission", works) == Decimal("1.00")
    assert await earned(books, person, "grid:payable", works) == Decimal("9.00")
    assert await earned(books, person, "platform:commission", fails) == 0
    trial_balance = await books.trial_balance()
    assert trial_balance["balanced"] is True
    assert all(Decimal(asset["sum"]) == 0 for asset in trial_balance["assets"])
    assert not trial_balance["wallets_off"]


@pytest.mark.asyncio
async def test_kafka_ends_in_the_middle_and_nothing_is_lost(
    stack: Any, http: httpx.AsyncClient, person: Person
) -> None:
    kafka = stack.container("kafka")
    await pay(stack, http, person, 1500)
    await balance_becomes(person, "15.00")

    await asyncio.to_thread(kafka.stop, timeout=30)
    await pay(stack, http, person, 1000, times=AT_ONCE)
    bought = (await person.buy("web-server"))["deployment_id"]
    assert (await person.balance())["balance"] == Decimal("5.00")
    await asyncio.to_thread(kafka.start)

    await ends_as(person, bought, "active")
    await balance_becomes(person, "15.00")
    assert (await Books(http, stack.address).trial_balance())["balanced"] is True


@pytest.mark.asyncio
async def test_the_state_outlives_the_containers(stack: Any, http: httpx.AsyncClient, person: Person) -> None:
    await pay(stack, http, person, 700)
    await balance_becomes(person, "7.00")

    assert (await asyncio.to_thread(stack.compose, "stop")).returncode == 0
    codes = {name: stack.container(name).attrs["State"]["ExitCode"] for name in (*OURS, "postgres", "kafka")}
    # Kafka's JVM ends by the signal's own number; all others say that they ended as they were asked to.
    assert codes == dict.fromkeys((*OURS, "postgres"), 0) | {"kafka": 143}
    await asyncio.to_thread(stack.down)
    await asyncio.to_thread(stack.up)

    await eventually(lambda: all_ready(stack, http), READY_TIMEOUT_S)
    await balance_becomes(person, "7.00")
    await pay(stack, http, person, 300)
    await balance_becomes(person, "10.00")


@pytest.mark.parametrize("service", OURS)
def test_a_service_is_nobody_and_can_write_nowhere(stack: Any, service: str) -> None:
    told = stack.container(service).attrs
    assert told["HostConfig"]["ReadonlyRootfs"] is True
    assert told["HostConfig"]["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in told["HostConfig"]["SecurityOpt"]
    look = "import os; print(os.getuid(), os.getgid(), open('/proc/self/status').read().split('CapEff:')[1].split()[0])"
    code, said = stack.execute(service, "python", "-c", look)
    assert (code, said.split()) == (0, ["10001", "10001", "0" * 16])
    code, said = stack.execute(service, "python", "-c", "open('/app/written', 'w')")
    assert code != 0
    assert "Read-only file system" in said


@pytest.mark.parametrize("service", [*OURS, "postgres", "kafka"])
def test_nobody_else_on_the_network_reaches_it(stack: Any, service: str) -> None:
    published = stack.container(service).attrs["HostConfig"]["PortBindings"]
    addresses = {binding["HostIp"] for bindings in published.values() for binding in bindings}
    assert addresses == ({"127.0.0.1"} if service in OURS else set())


@pytest.mark.parametrize("service", OURS)
@pytest.mark.asyncio
async def test_a_service_says_that_it_is_healthy(stack: Any, service: str) -> None:
    def healthy() -> bool:
        assert stack.container(service).attrs["State"]["Health"]["Status"] == "healthy"
        return True

    await eventually(healthy, READY_TIMEOUT_S)


def test_a_role_reaches_its_own_database_and_changes_no_event(stack: Any) -> None:
    def asks(database: str, statement: str) -> tuple[int, str]:
        dsn = f"postgresql://ledger_app@127.0.0.1/{database}"
        password = stack.environment["LEDGER_APP_PASSWORD"]
        return stack.execute("postgres", "psql", "--no-psqlrc", dsn, "-c", statement, PGPASSWORD=password)

    assert asks("ledger", "SELECT count(*) FROM stored_events")[0] == 0
    code, said = asks("ledger", "UPDATE stored_events SET topic = topic")
    assert (code, "permission denied" in said) == (1, True)
    code, said = asks("ledger", "CREATE TABLE stolen (id integer)")
    assert (code, "permission denied" in said) == (1, True)
    code, said = asks("payments_api", "SELECT 1")
    assert (code, "permission denied for database" in said) == (2, True)
