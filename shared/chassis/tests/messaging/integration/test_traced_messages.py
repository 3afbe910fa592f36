"""A message goes on from the trace that made it: published by a relay, handled alone, among many, late, or given up."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from chassis.bus.port import OutgoingRecord
from chassis.consumer import BatchConsumer, Delivery, Handled, Limits
from chassis.errors import EarlyMessage, PoisonMessage
from chassis.outbox import enqueue
from chassis.tracing import current_trace_id, current_traceparent, span
from chassis.tracing.live import LiveTracing
from chassis.tracing.otlp import OtlpExporter
from chassis.tracing.spans import install
from testkit.otlp_receiver import OtlpReceiver, ReceivedSpan, otlp_receiver
from testkit.waiting_for import eventually

pytestmark = pytest.mark.asyncio
Begun = tuple[OutgoingRecord, str, str]


@pytest_asyncio.fixture
async def collector() -> AsyncIterator[OtlpReceiver]:
    """Tracing is on, and sends to it."""
    with otlp_receiver() as receiver:
        processor = BatchSpanProcessor(OtlpExporter(receiver.url), schedule_delay_millis=20)
        tracing = LiveTracing(processor, "sample", 1.0)
        install(tracing)
        yield receiver
        install(None)
        tracing.close(10)


def begun(world: Any, **options: Any) -> Begun:
    """A message made within a span, with that span's trace and id."""
    with span("made"):
        traceparent = current_traceparent()
    assert traceparent is not None
    _, trace_id, span_id, _ = traceparent.split("-")
    return carrying(world.message(**options), traceparent), trace_id, span_id


def carrying(record: OutgoingRecord, traceparent: str) -> OutgoingRecord:
    return replace(record, headers=(*record.headers, ("traceparent", traceparent.encode())))


async def arrived(collector: OtlpReceiver, prefix: str, count: int = 1) -> Sequence[ReceivedSpan]:
    def named() -> Sequence[ReceivedSpan]:
        return [one for one in collector.spans if one.name.startswith(prefix)]

    await eventually(lambda: len(named()) >= count, 20)
    return named()


@asynccontextmanager
async def heard(world: Any, handler: Any, **options: Any) -> AsyncIterator[Any]:
    consumer = world.consumer({world.PAID: handler}, **options)
    async with world.running(consumer):
        yield consumer


async def test_the_relay_and_the_handler_go_on_from_the_outbox_row(world: Any, collector: OtlpReceiver) -> None:
    record, trace_id, span_id = begun(world, key="k")
    inside: list[str | None] = []

    async def handler(conn: Any, envelope: Any) -> None:
        inside.append(current_trace_id())

    async with world.pool.acquire() as conn, conn.transaction():
        await enqueue(conn, [record, world.message("of-no-trace")])
    async with world.running(world.relay()), heard(world, handler):
        (published,) = await arrived(collector, "publish")
        (handled,) = [one for one in await arrived(collector, "process", 2) if one.trace_id == trace_id]

    assert (published.trace_id, published.parent_id, published.kind) == (trace_id, span_id, "producer")
    assert published.attributes["messaging.destination.name"] == world.TOPIC
    assert (handled.trace_id, handled.parent_id, handled.kind) == (trace_id, span_id, "consumer")
    assert {name: value for name, value in handled.attributes.items() if name != "messaging.message.id"} == {
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": world.GROUP,
        "messaging.destination.name": world.TOPIC,
        "messaging.destination.partition.id": handled.attributes["messaging.destination.partition.id"],
        "messaging.kafka.offset": 0,
        "cloudevents.event_type": world.PAID,
        "gridledger.outcome": "handled",
    }
    assert trace_id in inside
    assert len(set(inside)) == 2


async def test_a_relay_that_fails_says_so_and_goes_on_in_the_same_trace(world: Any, collector: OtlpReceiver) -> None:
    record, trace_id, _ = begun(world)
    relay = world.relay()

    async def refuse(_records: Any) -> None:
        relay._producer.publish = publish
        raise ConnectionResetError("password hunter2")

    publish, relay._producer.publish = relay._producer.publish, refuse
    async with world.pool.acquire() as conn, conn.transaction():
        await enqueue(conn, [record])
    with pytest.raises(ConnectionResetError):
        await relay.run_once()
    await relay.run_once()

    first, second = await arrived(collector, "publish", 2)
    assert (first.has_failed, first.attributes["error.type"]) == (True, "ConnectionResetError")
    assert (second.has_failed, second.trace_id) == (False, trace_id)
    assert not any(b"hunter2" in body for body in collector.bodies)


@pytest.mark.parametrize(
    ("error", "outcome"), [(PoisonMessage("bad-amount", "hunter2"), "parked"), (EarlyMessage("payment:1"), "waiting")]
)
async def test_what_became_of_a_message_is_noted(
    world: Any, collector: OtlpReceiver, error: Exception, outcome: str
) -> None:
    async def handler(conn: Any, envelope: Any) -> None:
        raise error

    record, trace_id, _ = begun(world, data={"secret": "hunter2"})
    await world.publish(record)
    async with heard(world, handler):
        (handled,) = await arrived(collector, "process")
    assert (handled.trace_id, handled.attributes["gridledger.outcome"]) == (trace_id, outcome)
    assert not any(b"hunter2" in body for body in collector.bodies)


async def test_a_message_that_waited_goes_on_in_its_own_trace(world: Any, collector: OtlpReceiver) -> None:
    """Another message's handling releases it: each stays in the trace that it came in."""
    exists: set[str] = set()

    async def handler(conn: Any, envelope: Any) -> Handled | None:
        if envelope.subject == "late":
            exists.add("payment:1")
            return Handled(["payment:1"])
        if "payment:1" not in exists:
            raise EarlyMessage("payment:1")
        return None

    early, early_trace, _ = begun(world, key="early")
    late, late_trace, _ = begun(world, key="late")
    async with heard(world, handler):
        await world.publish(early)
        await arrived(collector, "process")
        await world.publish(late)
        spans = await arrived(collector, "process", 3)
    outcomes = {(one.trace_id, one.attributes.get("gridledger.outcome")) for one in spans}
    assert outcomes == {(early_trace, "waiting"), (late_trace, "handled"), (early_trace, "released")}


async def test_a_batch_has_a_span_for_each_message_that_carries_a_trace(world: Any, collector: OtlpReceiver) -> None:
    fails = [ConnectionResetError("for now")]

    async def process(deliveries: Sequence[Delivery]) -> None:
        if fails:
            raise fails.pop()

    messages = [begun(world, key=key) for key in ("a", "b", "c")]
    await world.publish(*(record for record, _, _ in messages), world.message("d"))
    limits = Limits(fetch_wait_s=0.05, commit_every_s=0.05, drain_s=1)
    consumer = BatchConsumer(world.pool, world.bus, world.GROUP, [world.TOPIC], [world.PAID], process, limits=limits)
    async with world.running(consumer):
        await eventually(lambda: by_outcome(collector).get("settled") == parents(messages), 20)
    assert by_outcome(collector)["settled"] == parents(messages)
    failed = by_outcome(collector)["ConnectionResetError"]
    assert failed
    assert failed <= parents(messages)


def parents(messages: Sequence[Begun]) -> set[tuple[str, str | None]]:
    return {(trace_id, span_id) for _, trace_id, span_id in messages}


def by_outcome(collector: OtlpReceiver) -> Mapping[str | int, set[tuple[str, str | None]]]:
    found: dict[str | int, set[tuple[str, str | None]]] = {}
    for one in collector.spans:
        if one.kind == "consumer":
            outcome = one.attributes.get("gridledger.outcome") or one.attributes["error.type"]
            found.setdefault(outcome, set()).add((one.trace_id, one.parent_id))
    return found
