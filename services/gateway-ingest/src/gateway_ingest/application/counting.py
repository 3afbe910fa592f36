"""What gateway-ingest counts. Labels come from small fixed sets, never from a request."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import Counter, Histogram

EVENTS = Counter("gridledger_ingest_events", "Verified events by what became of them", ["gateway", "verdict"])
REPEATS = Counter("gridledger_ingest_repeats", "Events that were there already", ["gateway", "outcome"])
REFUSED = Counter("gridledger_ingest_refused", "Webhooks that were not taken", ["gateway", "reason"])
ODDITIES = Counter("gridledger_ingest_oddities", "Payments that count, with something odd beside them", ["kind"])
BATCH_SIZE = Histogram(
    "gridledger_ingest_batch_events", "Events per transaction", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)


@lru_cache(maxsize=64)
def kept(gateway: str, verdict: str) -> Counter:
    """The counter of EVENTS with these labels; looking it up costs more than counting."""
    return EVENTS.labels(gateway, verdict)
