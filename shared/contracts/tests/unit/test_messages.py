"""Messages keep their schemas, repeat their ids and read what a newer producer wrote."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from contracts.amounts import Money
from contracts.envelope import Envelope, EnvelopeError
from contracts.messages import ALL_MESSAGES, MESSAGES_BY_TYPE, PaymentRefunded
from contracts.schemas import SCHEMA_DIRECTORY, rendered_schemas

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
REFUND = PaymentRefunded(
    gateway="stripe", gateway_payment_id="pi_1", refunded_total=Money.of(500, "USD/2"), refunded_at=NOW
)


def test_the_committed_schemas_are_the_models() -> None:
    committed = {path.name: path.read_text() for path in SCHEMA_DIRECTORY.glob("*.json")}
    assert committed == rendered_schemas(), "run `python -m contracts` and look at what changed"


def test_types_are_unique_and_name_topic_and_class() -> None:
    assert len(MESSAGES_BY_TYPE) == len(ALL_MESSAGES)
    for message in ALL_MESSAGES:
        assert f"gridledger.{message.TOPIC}.{message.__name__}.v1" == message.TYPE


def test_a_message_survives_the_bus() -> None:
    envelope = REFUND.in_envelope(source="gateway-ingest", stream="stripe:evt_1", version=1, time=NOW)
    read = Envelope.from_record(envelope.to_headers(), envelope.data)
    assert read == envelope
    assert PaymentRefunded.from_envelope(read) == REFUND


def test_a_trace_survives_the_bus_and_does_not_change_the_id() -> None:
    told = {"source": "gateway-ingest", "stream": "stripe:evt_1", "version": 1, "time": NOW}
    plain = REFUND.in_envelope(**told)
    traced = REFUND.in_envelope(**told, traceparent=f"00-{'1' * 32}-{'2' * 16}-01")
    assert traced.id == plain.id
    assert Envelope.from_record(traced.to_headers(), traced.data) == traced
    assert Envelope.from_record(plain.to_headers(), plain.data).traceparent is None


def test_publishing_again_repeats_the_id() -> None:
    first = REFUND.in_envelope(source="gateway-ingest", stream="stripe:evt_1", version=1, time=NOW)
    again = REFUND.in_envelope(source="gateway-ingest", stream="stripe:evt_1", version=1, time=NOW)
    other = REFUND.in_envelope(source="gateway-ingest", stream="stripe:evt_1", version=2, time=NOW)
    assert first.id == again.id != other.id


def test_a_field_of_a_newer_producer_is_skipped() -> None:
    newer = json.loads(REFUND.model_dump_json()) | {"colour": "green"}
    assert PaymentRefunded.model_validate(newer) == REFUND


@pytest.mark.parametrize("missing", ["ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "ce_specversion"])
def test_an_envelope_without_an_attribute_is_named(missing: str) -> None:
    envelope = REFUND.in_envelope(source="s", stream="x", version=1, time=NOW)
    headers = tuple(header for header in envelope.to_headers() if header[0] != missing)
    with pytest.raises(EnvelopeError, match=missing):
        Envelope.from_record(headers, b"{}")


@pytest.mark.parametrize(
    ("name", "value"),
    [("ce_id", b"no-uuid"), ("ce_time", b"yesterday"), ("ce_time", b"2026-01-01T00:00:00"), ("ce_type", b"\xff")],
)
def test_a_malformed_attribute_is_refused(name: str, value: bytes) -> None:
    envelope = REFUND.in_envelope(source="s", stream="x", version=1, time=NOW)
    headers = tuple((key, value if key == name else content) for key, content in envelope.to_headers())
    with pytest.raises(EnvelopeError):
        Envelope.from_record(headers, b"{}")
