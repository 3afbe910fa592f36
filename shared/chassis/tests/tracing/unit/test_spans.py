"""Spans have their parents, tell nothing that is secret, and are nothing at all while tracing is off."""

import asyncio
import io
import json
from typing import Any

import pytest
import structlog
from opentelemetry.trace import SpanKind, StatusCode

from chassis.logging import configure_logging
from chassis.tracing import (
    Kind,
    call_to,
    carry_trace,
    continued,
    current_trace_id,
    current_traceparent,
    is_on,
    span,
)
from chassis.tracing.spans import NO_SPAN

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE_ID}-{SPAN_ID}-01"
NOT_KEPT = f"00-{TRACE_ID}-{SPAN_ID}-00"


class Request:
    def __init__(self, **headers: str) -> None:
        self.headers = headers


@pytest.mark.asyncio
async def test_while_tracing_is_off_there_is_nothing() -> None:
    request = Request(traceparent=GIVEN)
    assert not is_on()
    with span("a") as outer, continued(GIVEN, "b", Kind.SERVER) as inner, call_to("ledger", "GET") as call:
        call.answered(500)
        inner.note("a", 1)
        await carry_trace(request)
        assert (outer, inner, call) == (NO_SPAN, NO_SPAN, NO_SPAN)
        assert (current_traceparent(), current_trace_id()) == (None, None)
    # What was only passed on stays as it came.
    assert request.headers == {"traceparent": GIVEN}


def test_a_span_within_another_is_its_child(kept: Any) -> None:
    with span("outer") as outer:
        outer.note("n", 1)
        with span("inner"):
            pass
    inner, outer_span = kept.get_finished_spans()
    assert (inner.name, outer_span.name) == ("inner", "outer")
    assert inner.parent.span_id == outer_span.context.span_id
    assert inner.context.trace_id == outer_span.context.trace_id
    assert dict(outer_span.attributes) == {"n": 1}
    assert outer_span.parent is None


def test_a_traceparent_is_continued_and_told_to_others(kept: Any) -> None:
    with continued(GIVEN, "in", Kind.SERVER):
        told = current_traceparent()
        assert current_trace_id() == TRACE_ID
    (only,) = kept.get_finished_spans()
    assert (f"{only.context.trace_id:032x}", f"{only.parent.span_id:016x}") == (TRACE_ID, SPAN_ID)
    assert only.kind is SpanKind.SERVER
    assert told == f"00-{TRACE_ID}-{only.context.span_id:016x}-01"
    assert (current_traceparent(), current_trace_id()) == (None, None)


@pytest.mark.parametrize("given", [None, "", "nonsense", f"00-{'0' * 32}-{SPAN_ID}-01", f"ff-{TRACE_ID}-{SPAN_ID}-01"])
def test_what_names_no_span_begins_a_trace_also_within_another(kept: Any, given: str | None) -> None:
    with span("around"), continued(given, "in", Kind.CONSUMER):
        pass
    begun, around = kept.get_finished_spans()
    assert begun.parent is None
    assert begun.context.trace_id != around.context.trace_id


def test_a_trace_that_was_not_kept_elsewhere_is_not_kept_here(kept: Any) -> None:
    with continued(NOT_KEPT, "in", Kind.SERVER) as unkept:
        unkept.note("a", 1)
        unkept.failed("no")
        with span("inner"):
            told = current_traceparent()
    assert kept.get_finished_spans() == ()
    assert told is not None
    assert told.startswith(f"00-{TRACE_ID}-")
    assert told.endswith("-00")


def test_the_share_is_of_traces_that_begin_here(kept_of_others: Any) -> None:
    with span("here"):
        pass
    with continued(GIVEN, "there", Kind.SERVER):
        pass
    assert [one.name for one in kept_of_others.get_finished_spans()] == ["there"]


def test_an_error_is_told_by_its_type_alone(kept: Any) -> None:
    with pytest.raises(ValueError, match="hunter2"), span("failing"):
        raise ValueError("password hunter2")
    (failing,) = kept.get_finished_spans()
    assert failing.status.status_code is StatusCode.ERROR
    assert dict(failing.attributes) == {"error.type": "ValueError"}
    assert failing.events == ()
    assert "hunter2" not in failing.to_json()


def test_after_its_end_a_span_stays_as_it_was(kept: Any) -> None:
    with span("stream") as stream:
        stream.end()
        stream.note("late", 1)
        stream.rename("late")
        stream.failed("late")
    (only,) = kept.get_finished_spans()
    assert (only.name, dict(only.attributes), only.status.status_code) == ("stream", {}, StatusCode.UNSET)


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, StatusCode.UNSET), (402, StatusCode.UNSET), (503, StatusCode.ERROR)]
)
def test_a_refusal_is_an_answer_and_only_a_5xx_a_failure(kept: Any, status: int, outcome: StatusCode) -> None:
    with call_to("ledger", "POST") as call:
        call.answered(status)
    (only,) = kept.get_finished_spans()
    assert (only.name, only.kind, only.status.status_code) == ("POST ledger", SpanKind.CLIENT, outcome)
    assert only.attributes["http.response.status_code"] == status
    assert only.attributes["peer.service"] == "ledger"


@pytest.mark.asyncio
async def test_a_call_carries_its_own_span_in_the_place_of_an_older_one(kept: Any) -> None:
    request = Request(traceparent=GIVEN)
    with call_to("ledger", "POST"):
        await carry_trace(request)
    (only,) = kept.get_finished_spans()
    version, *ids, flags = request.headers["traceparent"].split("-")
    assert (version, ids) == ("00", [f"{only.context.trace_id:032x}", f"{only.context.span_id:016x}"])
    assert int(flags, 16) & 1


@pytest.mark.asyncio
async def test_tasks_side_by_side_have_spans_of_their_own(kept: Any) -> None:
    both_in = asyncio.Barrier(2)

    async def work(name: str) -> str | None:
        with span(name):
            await both_in.wait()
            return current_trace_id()

    first, second = await asyncio.gather(work("a"), work("b"))
    by_name = {one.name: f"{one.context.trace_id:032x}" for one in kept.get_finished_spans()}
    assert by_name == {"a": first, "b": second}
    assert first != second


def test_log_lines_name_the_trace_that_they_belong_to(kept: Any) -> None:
    out = io.StringIO()
    before = structlog.get_config()
    try:
        configure_logging("ledger", "json", stream=out)
        with continued(GIVEN, "in", Kind.SERVER):
            structlog.get_logger().info("inside")
        structlog.get_logger().info("outside")
    finally:
        structlog.configure(**before)
    inside, outside = map(json.loads, out.getvalue().splitlines())
    assert inside["trace_id"] == TRACE_ID
    assert "trace_id" not in outside
