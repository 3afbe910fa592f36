"""Spans reach a collector as OTLP; one that is away, refuses or is silent disturbs nobody."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from chassis.tracing import Kind, continued, exported, is_on, span
from chassis.tracing.exporting import FLUSH_S
from chassis.tracing.live import BATCH_MAX_SPANS, CLOSING, LiveTracing
from chassis.tracing.otlp import SPANS, TIMEOUT_S, OtlpExporter
from testkit.otlp_receiver import OtlpReceiver, otlp_receiver
from testkit.waiting_for import eventually

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE_ID}-{SPAN_ID}-01"


@pytest.fixture
def collector() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as receiver:
        yield receiver


def told(endpoint: str | None, share: float = 1.0) -> Any:
    return SimpleNamespace(service="sample", otel_exporter_otlp_endpoint=endpoint, otel_traces_sampler_arg=share)


def lost() -> float:
    return float(SPANS.labels("lost")._value.get())


@contextmanager
def silent_address() -> Iterator[str]:
    """Takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_spans_arrive_as_they_were(collector: OtlpReceiver) -> None:
    before = time.time_ns()
    attributes = {"route": "/a", "status": 2**40}
    with (
        exported(told(collector.url)),
        continued(GIVEN, "outer", Kind.SERVER, attributes),
        span("inner") as inner,
    ):
        inner.failed("Oops")
    first, second = collector.spans
    assert (first.service, first.name, first.kind, first.parent_id) == ("sample", "inner", "internal", second.span_id)
    assert (second.name, second.kind, second.parent_id) == ("outer", "server", SPAN_ID)
    assert {first.trace_id, second.trace_id} == {TRACE_ID}
    assert (first.attributes, second.attributes) == ({"error.type": "Oops"}, attributes)
    assert (first.has_failed, second.has_failed) == (True, False)
    assert before <= second.begun_ns <= first.begun_ns <= first.ended_ns <= second.ended_ns <= time.time_ns()


@pytest.mark.parametrize("ending", ["", "/"])
def test_the_endpoint_is_a_base_as_in_other_programs(collector: OtlpReceiver, ending: str) -> None:
    with exported(told(collector.url + ending)), span("a"):
        pass
    assert [one.name for one in collector.spans] == ["a"]


@pytest.mark.asyncio
async def test_spans_are_sent_while_the_process_runs(collector: OtlpReceiver) -> None:
    with exported(told(collector.url)):
        with span("a"):
            pass
        await eventually(lambda: collector.spans, 20)


def test_what_is_left_is_sent_in_the_end_in_batches(collector: OtlpReceiver) -> None:
    count = BATCH_MAX_SPANS + 1
    with exported(told(collector.url)):
        for number in range(count):
            with span(str(number)):
                pass
    assert sorted(int(one.name) for one in collector.spans) == list(range(count))
    assert collector.requests == 2


def test_without_an_endpoint_nothing_is_made() -> None:
    with exported(told(None)):
        assert not is_on()
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("Otel")] == []


def test_a_share_of_nothing_sends_nothing(collector: OtlpReceiver) -> None:
    with exported(told(collector.url, 0.0)), span("a"):
        assert is_on()
    assert (collector.requests, is_on()) == (0, False)


def test_without_an_endpoint_the_sdk_is_not_even_imported() -> None:
    program = """
import sys, types
import chassis.consumer, chassis.http, chassis.logging, chassis.relay, chassis.starting
from chassis.tracing import exported, span
with exported(types.SimpleNamespace(otel_exporter_otlp_endpoint=None)), span("a"):
    pass
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "chassis.tracing.live"))])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"


def test_a_collector_that_refuses_or_comes_back_is_told_of_once(collector: OtlpReceiver) -> None:
    lost_before = lost()
    processor = BatchSpanProcessor(OtlpExporter(collector.url))
    tracing = LiveTracing(processor, "sample", 1.0)
    with structlog.testing.capture_logs() as logged:
        for status in (503, 503, 200, 200):
            collector.status = status
            with tracing.start("a", Kind.INTERNAL, {}):
                pass
            processor.force_flush()
    tracing.close(FLUSH_S)
    assert [(line["event"], line.get("reason")) for line in logged] == [
        ("spans_are_lost", "status 503"),
        ("spans_are_sent_again", None),
    ]
    assert (collector.requests, len(collector.spans), lost() - lost_before) == (4, 2, 2)


def test_a_collector_that_is_away_disturbs_nobody() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    lost_before = lost()
    with exported(told(address)), span("a"):
        pass
    assert lost() - lost_before == 1


@pytest.mark.asyncio
async def test_a_silent_collector_holds_nobody_up_who_ends() -> None:
    loop = asyncio.get_running_loop()
    with silent_address() as address:
        tracing = LiveTracing.sending_to(address, "sample", 1.0)
        for _ in range(4 * BATCH_MAX_SPANS):
            with tracing.start("a", Kind.INTERNAL, {}):
                pass
        ending_at = loop.time()
        tracing.close(0.2)
        # To try each batch would take longer.
        assert loop.time() - ending_at < 3 * TIMEOUT_S
    await eventually(lambda: CLOSING not in [thread.name for thread in threading.enumerate()], 20)
