"""What the ledger counts of itself, in prometheus_client's default registry."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

BATCH_SIZE = Histogram(
    "gridledger_ledger_batch_size",
    "Works settled in one transaction",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000),
)
NO_EFFECT = Counter("gridledger_ledger_no_effect", "Commands that changed nothing, by reason", ["reason"])
PARKED = Counter("gridledger_ledger_parked", "Messages given up on, by reason", ["reason"])
