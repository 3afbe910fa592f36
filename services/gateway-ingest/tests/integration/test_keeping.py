"""Once and for ever: repeats, contradictions, concurrency, a database that is away, rights, encryption."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import asyncpg
import pytest

from chassis.errors import OperationalError
from chassis.outbox import OUTBOX_LANE
from embedded.provisioning import DatabaseAccess, identifier
from gateway_ingest.adapters.encryption import RawEventCipher
from gateway_ingest.adapters.gateways.stripe import gateway as stripe
from gateway_ingest.adapters.raw_events import PostgresEventStore
from gateway_ingest.application.group_commit import GroupCommit
from gateway_ingest.application.intake import Intake
from gateway_ingest.application.ports import Outcome, UnstorableEvent
from gateway_ingest.domain.signatures import sign
from testkit.postgres import DatabaseFactory, TestPostgres
from testkit.waiting_for import eventually


@pytest.mark.asyncio
async def test_ten_at_once_are_one(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        answers = await asyncio.gather(*(gateway.post(gateway.event()) for _ in range(10)))
        assert [answer.status_code for answer in answers] == [200] * 10
        assert (await gateway.post(gateway.event())).status_code == 200
        assert await gateway.kept() == [("evt_1", "published", None)]
        assert len(await gateway.outgoing()) == 1


@pytest.mark.asyncio
async def test_two_processes_at_once_keep_each_event_once(open_gateway: Any) -> None:
    async with open_gateway() as first, open_gateway() as second:
        events = [first.event(number) for number in range(40)]
        posts = [first.post(event) for event in events] + [second.post(event) for event in reversed(events)]
        answers = await asyncio.gather(*posts)
        assert {answer.status_code for answer in answers} == {200}
        assert len(await first.kept()) == len(await first.outgoing()) == 40


@pytest.mark.asyncio
async def test_a_redelivery_with_other_bytes_and_the_same_content_is_a_repeat(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        await gateway.post(gateway.event() | {"pending_webhooks": 2})
        await gateway.post(gateway.event() | {"pending_webhooks": 1})
        assert len(await gateway.kept()) == 1


@pytest.mark.asyncio
async def test_an_event_that_contradicts_itself_is_quarantined_once(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        for amount in (2500, 9900, 9900, 2500):
            assert (await gateway.post(gateway.event(amount_received=amount))).status_code == 200
        assert await gateway.kept() == [("evt_1", "published", None), ("evt_1", "quarantined", "event_id_reused")]
        assert [message["received"]["amount"] for message in await gateway.outgoing()] == ["25.00"]


@pytest.mark.asyncio
async def test_contradictions_within_one_batch_are_seen(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        await asyncio.gather(*(gateway.post(gateway.event(amount_received=amount)) for amount in (100, 200, 100, 300)))
        verdicts = [verdict for _, verdict, _ in await gateway.kept()]
        assert sorted(verdicts) == ["published", "quarantined", "quarantined"]
        assert len(await gateway.outgoing()) == 1


@pytest.mark.asyncio
async def test_what_was_quarantined_is_published_once_it_makes_sense(open_gateway: Any) -> None:
    """As when we learnt a currency and the operator has the gateway send the event again."""
    async with open_gateway() as gateway:
        await gateway.post(gateway.event(currency="xyz"))
        await gateway.post(gateway.event())
        await gateway.post(gateway.event())
        assert [verdict for _, verdict, _ in await gateway.kept()] == ["quarantined", "published"]
        assert len(await gateway.outgoing()) == 1


@pytest.mark.asyncio
async def test_a_value_that_the_database_refuses_does_not_hurt_its_neighbours(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        store: PostgresEventStore = gateway.service.intake._store
        events = [_received(gateway, number) for number in range(8)]
        events[5] = dataclasses.replace(events[5], event_type="bad \u0000 type")
        commit = GroupCommit(store.keep)
        results = await asyncio.gather(*(commit.submit(store.seal(event)) for event in events), return_exceptions=True)
        assert isinstance(results.pop(5), UnstorableEvent)
        assert results == [Outcome.NEW] * 7
        assert len(await gateway.kept()) == len(await gateway.outgoing()) == 7


def _received(gateway: Any, number: int) -> Any:
    body = json.dumps(gateway.event(number)).encode()
    return gateway.service.intake._received(stripe.NAME, stripe.read(json.loads(body)), body)


@pytest.mark.asyncio
async def test_a_database_that_is_away_is_503_and_heals(
    open_gateway: Any, postgres_server: TestPostgres, ingest_database: DatabaseAccess
) -> None:
    superuser = await asyncpg.connect(postgres_server.superuser_dsn)
    name = identifier(ingest_database.name)
    async with open_gateway() as gateway:
        assert (await gateway.post(gateway.event(1))).status_code == 200
        await superuser.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = $2",
            ingest_database.name,
            "gateway-ingest",
        )
        answers = await asyncio.gather(*(gateway.post(gateway.event(number)) for number in (2, 3)))
        assert [answer.status_code for answer in answers] == [503, 503]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        assert (await gateway.http.get("/readyz")).status_code == 503
        assert (await gateway.http.get("/healthz")).status_code == 200
        await superuser.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

        async def taken() -> bool:
            return (await gateway.post(gateway.event(2))).status_code == 200

        await eventually(taken)
        assert [event_id for event_id, _, _ in await gateway.kept()] == ["evt_1", "evt_2"]
    await superuser.close()


@pytest.mark.asyncio
async def test_a_full_queue_is_503(open_gateway: Any, ingest_database: DatabaseAccess) -> None:
    blocker = await asyncpg.connect(ingest_database.owner_dsn)
    async with open_gateway() as gateway:
        intake = gateway.service.intake
        small = Intake(intake._store, gateway.clock, queue_max_items=2)
        body = json.dumps(gateway.event(5)).encode()
        from_stripe = gateway.service.gateways[stripe.NAME]
        headers = [(stripe.SIGNATURE_HEADER, _signed(gateway, body))]
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE raw_events IN EXCLUSIVE MODE")
            first = asyncio.create_task(small.take(from_stripe, headers, body))
            await eventually(lambda: small._commit._flushing is not None and not small._commit._waiting)
            waiting = [asyncio.create_task(small.take(from_stripe, headers, body)) for _ in range(2)]
            await eventually(lambda: len(small._commit._waiting) == 2)
            with pytest.raises(OperationalError, match="too many"):
                await small.take(from_stripe, headers, body)
        assert await asyncio.gather(first, *waiting) == [Outcome.NEW, Outcome.REPEAT, Outcome.REPEAT]
    await blocker.close()


@pytest.mark.asyncio
async def test_positions_of_the_outbox_are_drawn_under_its_lane(
    open_gateway: Any, ingest_database: DatabaseAccess
) -> None:
    """Else a relay that reads forward would pass a position whose transaction commits later."""
    other = await asyncpg.connect(ingest_database.app_dsn)
    async with open_gateway() as gateway:
        async with other.transaction():
            await other.execute("SELECT pg_advisory_xact_lock($1)", OUTBOX_LANE)
            await other.execute("INSERT INTO outbox (topic, key, value, headers) VALUES ('t', 'first', '', '')")
            posted = asyncio.create_task(gateway.post(gateway.event()))
            waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            await eventually(lambda: gateway.rows(waits))
            assert not posted.done()
        assert (await posted).status_code == 200
        keys = [row["key"] for row in await gateway.rows("SELECT key FROM outbox ORDER BY position")]
        assert keys == [b"first", b"stripe:pi_1"]
        assert (await gateway.rows("SELECT max(position) - min(position) AS gap FROM outbox"))[0]["gap"] == 1
    await other.close()


def _signed(gateway: Any, body: bytes) -> bytes:
    return sign(body, b"whsec_x", int(gateway.clock.now().timestamp()))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "statement",
    ["UPDATE raw_events SET verdict = 'ignored', reason = 'x'", "DELETE FROM raw_events", "TRUNCATE raw_events"],
)
async def test_raw_events_are_append_only_for_the_service_and_for_the_owner(
    open_gateway: Any, ingest_database: DatabaseAccess, statement: str
) -> None:
    async with open_gateway() as gateway:
        await gateway.post(gateway.event())
        for dsn in (ingest_database.app_dsn, ingest_database.owner_dsn):
            connection = await asyncpg.connect(dsn)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
            await connection.close()
        assert await gateway.kept() == [("evt_1", "published", None)]


@pytest.mark.asyncio
async def test_raw_bodies_are_encrypted_and_come_back_byte_for_byte(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        body = json.dumps(gateway.event(metadata={"user_id": "alice", "email": "alice@example.org"}), indent=3).encode()
        assert (await gateway.post(body)).status_code == 200
        stored = (await gateway.rows("SELECT body FROM raw_events"))[0]["body"]
        assert b"alice" not in stored
        assert b"pi_1" not in stored
        [event] = await gateway.service.kept.event("stripe", "evt_1")
        assert (event["body"], event["verdict"]) == (body, "published")
        assert await gateway.service.kept.event("stripe", "evt_2") == []


@pytest.mark.asyncio
async def test_a_rotated_key_still_reads_what_the_old_one_wrote(open_gateway: Any) -> None:
    async with open_gateway() as gateway:
        await gateway.post(gateway.event(1))
        old = gateway.service.settings.raw_event_key.get_secret_value()
    new = "A" * 43 + "="
    async with open_gateway(raw_event_key=f"{new},{old}") as gateway:
        await gateway.post(gateway.event(2))
        keys = [row["key_id"] for row in await gateway.rows("SELECT key_id FROM raw_events ORDER BY position")]
        assert keys == [RawEventCipher.parse(old).current_key_id, RawEventCipher.parse(new).current_key_id]
        for number in (1, 2):
            [event] = await gateway.service.kept.event("stripe", f"evt_{number}")
            assert json.loads(event["body"]) == gateway.event(number)


@pytest.mark.asyncio
async def test_the_service_starts_although_the_database_is_away(
    open_gateway: Any, make_database: DatabaseFactory
) -> None:
    nowhere = "postgresql://nobody:x@127.0.0.1:1/nothing"
    async with open_gateway(database_url=nowhere) as gateway:
        answer = await gateway.post(gateway.event())
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
