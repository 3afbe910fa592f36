"""The whole stack for end-to-end tests: the launcher as a process, on free ports and a folder of its own.

Nothing in here reaches into a process: tests see what people, gateways and operators see, over HTTP and by signals.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from embedded.data_folder import StackNote, read_note
from embedded.demo.clients import payment_succeeded, signature
from embedded.demo.stack_at_hand import free_ports
from embedded.kafka import KafkaMissing, installed_kafka
from testkit.waiting_for import eventually

ROOT = Path(__file__).resolve().parents[2]
STRIPE_SECRET = "whsec_x"
ADMIN_TOKEN = "admin-token-of-the-tests"
# The least transfer is lowered to what the contract of all gateways pays.
BANK_ACCOUNT = {
    "BANK_NAME": "Bank of Tests",
    "BANK_ACCOUNT_NAME": "Gridledger Ltd",
    "BANK_ACCOUNT_NUMBER": "DE02120300000000202051",
    "BANK_SWIFT_CODE": "BYLADEM1001",
    "BANK_MINIMUM_USD": "25",
}
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
RETRY_S = 0.1
READY_PROCESSES = ("gateway-ingest", "ledger", "deployments", "payments-api", "grid-simulator")
AMONG_OTHERS_S = 30.0


class LaunchedStack:
    """A launcher, started as ``make run`` does. ``environment`` comes on top of free ports."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            **free_ports(),
            "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
            "DATA_DIR": str(folder / "data"),
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data_dir(self) -> Path:
        return Path(self.environment["DATA_DIR"])

    @property
    def log(self) -> str:
        return (self.folder / "run.log").read_text(errors="replace")

    @property
    def launcher_pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with (self.folder / "run.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "embedded", "run"], env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, f"the launcher ended with {self._process.returncode}:\n{self.log}"
            note = read_note(self.data_dir)
            if note is not None and note.ready:
                return
            time.sleep(RETRY_S)
        pytest.fail(f"not ready in time:\n{self.log}")

    def note(self) -> StackNote:
        note = read_note(self.data_dir)
        assert note is not None, f"no launcher runs:\n{self.log}"
        return note

    def url(self, process: str) -> str:
        return f"http://127.0.0.1:{self.note().ports[process]}"

    def pid(self, process: str) -> int:
        return self.note().pids[process]

    def kill(self, process: str) -> int:
        """kill -9; answers the pid that it had."""
        pid = self.pid(process)
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the launcher to end; answers its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            pytest.fail(f"the launcher did not stop within {STOP_TIMEOUT_S} s:\n{self.log}")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``python -m embedded …`` beside or without the running stack."""
        return subprocess.run(
            [sys.executable, "-m", "embedded", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )


@pytest.fixture(scope="session")
def new_stack() -> Iterator[Callable[..., LaunchedStack]]:
    """Makes stacks that are not started yet; what still runs at the end is stopped."""
    made: list[LaunchedStack] = []

    def make(**environment: str) -> LaunchedStack:
        folder = Path(tempfile.mkdtemp(prefix="gridledger-e2e-"))
        # As root, PostgreSQL runs as another user, who must be able to walk in.
        folder.chmod(0o755)
        made.append(LaunchedStack(folder, environment))
        return made[-1]

    yield make
    for stack in made:
        if stack._process is not None:
            stack.stop()
        shutil.rmtree(stack.folder)


@pytest.fixture(scope="session")
def postgres_stack(new_stack: Callable[..., LaunchedStack]) -> LaunchedStack:
    """One running stack for all tests that leave it running."""
    return running(new_stack(BUS="postgresql"))


@pytest.fixture(scope="session")
def kafka_stack(plain_kafka: None, new_stack: Callable[..., LaunchedStack]) -> LaunchedStack:
    """The same on a Kafka of its own."""
    return running(new_stack(BUS="kafka"))


@pytest.fixture(scope="session")
def gateways_stack(new_stack: Callable[..., LaunchedStack]) -> LaunchedStack:
    """One that asks gateways about open payments at once, and sells for yen, too."""
    asks_at_once = {"FOLLOW_AFTER_S": "1", "FOLLOW_EVERY_S": "1"}
    yen = {"STRIPE_CURRENCIES": "JPY", "FIXED_RATES": "JPY=0.0065"}
    return running(new_stack(BUS="postgresql", ADMIN_TOKEN=ADMIN_TOKEN, **asks_at_once, **yen, **BANK_ACCOUNT))


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


def running(stack: LaunchedStack) -> LaunchedStack:
    stack.start()
    stack.wait_ready()
    return stack


class Visitor:
    """Somebody with a browser, a card, and a way to look into the books."""

    silence = (httpx.TransportError,)

    def __init__(self, http: httpx.AsyncClient, stack: LaunchedStack, user_id: str) -> None:
        self.http = http
        self.user_id = user_id
        self.stack = stack
        note = stack.note()
        self.operator = {"Authorization": f"Bearer {note.environments['ledger']['SERVICE_TOKEN']}"}
        self.signed_in: dict[str, str] = {}

    async def everything_is_up(self) -> None:
        await eventually(lambda: all_ready(self.stack, self.http), START_TIMEOUT_S)

    async def sign_in(self) -> None:
        answer = await self.http.post(f"{self.stack.url('payments-api')}/api/auth/demo", json={"user_id": self.user_id})
        self.signed_in = {"Authorization": f"Bearer {read(answer)['access_token']}"}

    async def get(self, path: str) -> Any:
        return read(await self.http.get(f"{self.stack.url('payments-api')}{path}", headers=self.signed_in))

    async def balance(self) -> str:
        return str((await self.get("/api/user/tfc-balance"))["balance"])

    async def balance_becomes(self, amount: str, timeout_s: float = AMONG_OTHERS_S) -> None:
        async def reached() -> bool:
            assert await self.balance() == amount
            return True

        await eventually(reached, timeout_s)

    async def buy(self, service_id: str, key: str | None = None) -> httpx.Response:
        return await self.http.post(
            f"{self.stack.url('payments-api')}/api/marketplace/buy-now",
            json={"service_id": service_id, "payment_method": "TFC"},
            headers={**self.signed_in, **({"Idempotency-Key": key} if key else {})},
        )

    async def deployment_becomes(self, deployment_id: str, status: str) -> dict[str, Any]:
        async def reached() -> dict[str, Any]:
            shown: dict[str, Any] = await self.get(f"/api/deployments/{deployment_id}")
            assert shown["status"] == status
            return shown

        return await eventually(reached, AMONG_OTHERS_S)

    async def webhook(self, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Post a Stripe webhook, signed unless ``headers`` are given."""
        url = f"{self.stack.url('gateway-ingest')}/api/webhooks/stripe"
        return await self.http.post(url, content=body, headers=sign(body) if headers is None else headers)

    async def pay(
        self, cents: int, intent_id: str | None = None, event_id: str | None = None, *, user_id: str | None = None
    ) -> httpx.Response:
        """Let Stripe say that this person (or another) paid."""
        return await self.webhook(payment_body(user_id or self.user_id, cents, intent_id, event_id))

    async def ledger(self, path: str) -> Any:
        return read(await self.http.get(f"{self.stack.url('ledger')}/v1{path}", headers=self.operator))

    async def earned(self, account: str, *deployment_ids: str) -> Decimal:
        """What an account got from these deployments, once the journal has all that this person was answered."""
        position = (await self.ledger(f"/wallets/{self.user_id}"))["position"]
        page = await self.ledger(f"/accounts/{account}/postings?limit=200&min_position={position}")
        of_ours = tuple(f"deployment:{deployment_id}:" for deployment_id in deployment_ids)
        lines = [line for line in page["postings"] if line["reference"].startswith(of_ours)]
        return sum((Decimal(line["amount"]) for line in lines), Decimal("0.00"))


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=120, max_keepalive_connections=120)
    async with httpx.AsyncClient(timeout=20.0, trust_env=False, limits=limits) as client:
        yield client


async def all_ready(stack: LaunchedStack, http: httpx.AsyncClient) -> bool:
    """Whether every process that speaks HTTP says that it is ready."""
    for process in READY_PROCESSES:
        try:
            if (await http.get(f"{stack.url(process)}/readyz")).status_code != httpx.codes.OK:
                return False
        except httpx.TransportError:
            return False
    return True


@pytest_asyncio.fixture
async def visitor(stack: LaunchedStack, http: httpx.AsyncClient) -> Visitor:
    """A person who was never here before, signed in. Comes once everything is up: an earlier test may have killed."""
    person = Visitor(http, stack, f"visitor-{secrets.token_hex(4)}")
    await person.everything_is_up()
    await person.sign_in()
    return person


@pytest.fixture
def somebody_new(http: httpx.AsyncClient) -> Callable[[LaunchedStack], Awaitable[Visitor]]:
    """``await somebody_new(stack)``: a person on that stack, signed in."""

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


def payment_body(user_id: str, cents: int, intent_id: str | None = None, event_id: str | None = None) -> bytes:
    intent = intent_id or f"pi_{secrets.token_hex(8)}"
    return json.dumps(payment_succeeded(event_id or f"evt_{secrets.token_hex(8)}", intent, cents, user_id)).encode()


def sign(body: bytes, *, secret: str = STRIPE_SECRET, age_s: int = 0) -> dict[str, str]:
    return {"Stripe-Signature": signature(body, secret.encode(), int(time.time()) - age_s)}


def read(answer: httpx.Response) -> Any:
    assert answer.status_code < 300, f"{answer.request.method} {answer.request.url}: {answer.text}"
    return json.loads(answer.text, parse_float=Decimal)


async def persist(call: Callable[[], Any], timeout_s: float = AMONG_OTHERS_S) -> httpx.Response:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            answer: httpx.Response = await call()
        except httpx.TransportError as error:
            seen = repr(error)
        else:
            if answer.status_code < 500:
                return answer
            seen = f"{answer.status_code}: {answer.text}"
        assert time.monotonic() < deadline, f"never answered; last seen {seen}"
        await asyncio.sleep(RETRY_S)
