"""The whole stack for end-to-end tests, and who comes to it."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from embedded.kafka import KafkaMissing, installed_kafka

from . import launched_stack
from .launched_stack import LaunchedStack, SharedStack
from .visitor import Visitor, payment_body, persist, sign

ADMIN_TOKEN = "admin-token-of-the-tests"
# The least transfer is lowered to what the contract of all gateways pays.
BANK_ACCOUNT = {
    "BANK_NAME": "Bank of Tests",
    "BANK_ACCOUNT_NAME": "Gridledger Ltd",
    "BANK_ACCOUNT_NUMBER": "DE02120300000000202051",
    "BANK_SWIFT_CODE": "BYLADEM1001",
    "BANK_MINIMUM_USD": "25",
}
SHARED_STACKS = ("postgres_stack", "kafka_stack", "gateways_stack", "coins_stack", "unfollowed_stack")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep tests on one stack together, rather than those of one file: no stack is started twice."""
    stack = stack_of(item)
    if stack is not None:
        item.add_marker(pytest.mark.xdist_group(stack))


def stack_of(item: pytest.Item) -> str | None:
    """The shared stack that a test runs on, if it does."""
    fixtures = getattr(item, "fixturenames", ())
    if "stack" in fixtures:
        chosen = item.callspec.params if hasattr(item, "callspec") else {}
        return f"{chosen.get('stack', 'postgres')}_stack"
    return next((name for name in SHARED_STACKS if name in fixtures), None)


@pytest.fixture
def new_stack() -> Iterator[Callable[..., LaunchedStack]]:
    """Makes stacks of the test's own, not started yet; they end with it."""
    made: list[LaunchedStack] = []

    def make(**environment: str) -> LaunchedStack:
        made.append(launched_stack.new_stack(**environment))
        return made[-1]

    yield make
    for stack in made:
        stack.remove()


@pytest.fixture(scope="session")
def shared_stack() -> Iterator[SharedStack]:
    """``shared_stack("name", **environment)``: that one, running; it stays until another is asked for."""
    shared = SharedStack()
    yield shared
    shared.end()


@pytest.fixture
def postgres_stack(shared_stack: SharedStack) -> LaunchedStack:
    """For all tests that leave it running."""
    return shared_stack("postgres", BUS="postgresql")


@pytest.fixture
def kafka_stack(plain_kafka: None, shared_stack: SharedStack) -> LaunchedStack:
    """The same on a Kafka of its own."""
    return shared_stack("kafka", BUS="kafka")


@pytest.fixture
def gateways_stack(shared_stack: SharedStack) -> LaunchedStack:
    """One that asks gateways about open payments at once, and sells for yen, too."""
    asks_at_once = {"FOLLOW_AFTER_S": "1", "FOLLOW_EVERY_S": "1"}
    yen = {"STRIPE_CURRENCIES": "JPY", "FIXED_RATES": "JPY=0.0065"}
    return shared_stack("gateways", BUS="postgresql", ADMIN_TOKEN=ADMIN_TOKEN, **asks_at_once, **yen, **BANK_ACCOUNT)


@pytest.fixture(scope="session")
def plain_kafka() -> None:
    """Skips, but in CI, where Kafka cannot run as a plain process."""
    try:
        installed_kafka()
    except KafkaMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def stack(request: pytest.FixtureRequest) -> LaunchedStack:
    """The stack that a test runs on: ``parametrize("stack", ["postgres", "kafka"], indirect=True)`` runs it on both."""
    chosen: LaunchedStack = request.getfixturevalue(f"{getattr(request, 'param', 'postgres')}_stack")
    return chosen


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=120, max_keepalive_connections=120)
    async with httpx.AsyncClient(timeout=60.0, trust_env=False, limits=limits) as client:
        yield client


@pytest_asyncio.fixture
async def visitor(stack: LaunchedStack, somebody_new: Callable[[LaunchedStack], Awaitable[Visitor]]) -> Visitor:
    """A person who was never here before, signed in."""
    return await somebody_new(stack)


@pytest.fixture
def somebody_new(http: httpx.AsyncClient) -> Callable[[LaunchedStack], Awaitable[Visitor]]:
    """``await somebody_new(stack)``: a person on that stack, signed in, once all is up: one before may have killed."""

    async def come(stack: LaunchedStack) -> Visitor:
        person = Visitor(http, stack, f"visitor-{secrets.token_hex(4)}")
        await person.everything_is_up()
        await person.sign_in()
        return person

    return come


@pytest_asyncio.fixture
async def gateways_visitor(
    gateways_stack: LaunchedStack, somebody_new: Callable[[LaunchedStack], Awaitable[Visitor]]
) -> Visitor:
    """Somebody new on ``gateways_stack``, signed in."""
    return await somebody_new(gateways_stack)


@pytest.fixture
def another(stack: LaunchedStack, http: httpx.AsyncClient) -> Visitor:
    """Somebody else, not signed in yet."""
    return Visitor(http, stack, f"another-{secrets.token_hex(4)}")


@pytest.fixture(scope="session")
def webhook_body() -> Callable[..., bytes]:
    """``webhook_body(user_id, cents)``: a payment_intent.succeeded as Stripe sends it."""
    return payment_body


@pytest.fixture(scope="session")
def signed() -> Callable[..., dict[str, str]]:
    """``signed(body)``: the header with Stripe's signature; ``secret`` and ``age_s`` make bad ones."""
    return sign


@pytest.fixture(scope="session")
def until_answered() -> Callable[..., Any]:
    """``until_answered(call)``: repeat as gateways and clients do, until there is neither silence nor a 5xx."""
    return persist
