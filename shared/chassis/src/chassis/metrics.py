"""The metrics that parts of the chassis share, under one prefix, in prometheus_client's default registry.

Labels hold only values from small fixed sets: never a user, a payment or a path with an id in it.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

HTTP_REQUESTS = Counter("gridledger_http_requests", "HTTP requests answered", ["method", "route", "status"])
HTTP_DURATION_S = Histogram(
    "gridledger_http_request_duration_seconds", "Time to answer", ["method", "route"], buckets=LATENCY_BUCKETS_S
)
TASK_CRASHES = Counter("gridledger_task_crashes", "Supervised tasks that ended by an error", ["task"])

OUTBOX_RELAYED = Counter("gridledger_relayed_records", "Records that a relay published", ["source"])
RELAY_FAILURES = Counter("gridledger_relay_failures", "Attempts of a relay that failed and were repeated", ["source"])
RELAY_POSITION = Gauge("gridledger_relay_position", "Last position published", ["source"])
RELAY_WAITING = Gauge("gridledger_relay_waiting", "Positions not yet published; absent while unknown", ["source"])

MESSAGES_HANDLED = Counter("gridledger_messages", "Messages taken off the bus", ["group", "topic", "outcome"])
MESSAGE_RETRIES = Counter("gridledger_message_retries", "Transient failures while handling", ["group", "topic"])
CONSUMER_LAG = Gauge(
    "gridledger_consumer_lag", "Records not yet handled; absent while unknown", ["group", "topic", "partition"]
)
PARTITIONS_OWNED = Gauge("gridledger_partitions_owned", "Partitions that this process consumes now", ["group"])
DEAD_LETTERS = Gauge("gridledger_dead_letters", "Messages parked now; absent while unknown", ["group"])
BUS_FAILURES = Counter("gridledger_bus_failures", "What a group's member could not do and repeats", ["group", "what"])
