"""How our clients of Kafka are set: everything that decides about loss, order or waiting is said, nothing assumed.

The client's own defaults would lose messages (acks 1, automatic commits, start at the latest) or wait for ever.
Sources: aiokafka 0.14's signatures and documentation; Kafka's producer and consumer configuration.
"""

from __future__ import annotations

from typing import Any

from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from chassis.bus.kafka.address import KafkaAddress
from chassis.bus.port import RECORD_MAX_BYTES

REQUEST_MAX_BYTES = 2 * RECORD_MAX_BYTES
"""A record of the largest size with what the protocol puts around it; below what the brokers are told to take."""
BATCH_MAX_BYTES = 256 * 1024
FETCH_MAX_BYTES = 5 * 1024 * 1024
LINGER_MS = 0
"""Batches are made by us and closed when they are handed over: nothing would join them."""
RETRY_BACKOFF_MS = 100
REQUEST_TIMEOUT_MS = 5_000
METADATA_MAX_AGE_MS = 30_000
"""How soon a consumer hears of a topic that came to be."""
FETCH_WAIT_MS = 500
REBALANCE_TIMEOUT_MS = 30_000
"""How long a live member may take to let go of its partitions; the drain takes five seconds."""
MAX_POLL_INTERVAL_MS = 600_000
"""Above the stall that ends a process: a consumer that only waits for its database keeps its partitions."""
HEARTBEATS_PER_SESSION = 4


def common_options(address: KafkaAddress, client_id: str) -> dict[str, Any]:
    """For every client, the administrator's too."""
    return {
        **address.connection_options(),
        "client_id": client_id,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        "metadata_max_age_ms": METADATA_MAX_AGE_MS,
    }


def producer_options(address: KafkaAddress, client_id: str) -> dict[str, Any]:
    """Durable on all replicas in sync, in order, without duplicates of its own retries."""
    return {
        **common_options(address, client_id),
        "acks": "all",
        "enable_idempotence": True,
        "compression_type": "lz4",
        "linger_ms": LINGER_MS,
        "max_batch_size": BATCH_MAX_BYTES,
        "max_request_size": REQUEST_MAX_BYTES,
    }


def consumer_options(address: KafkaAddress, group: str, client_id: str) -> dict[str, Any]:
    """Nothing is committed or skipped unless we say so."""
    session_ms = int(address.session_timeout_s * 1000)
    return {
        **common_options(address, client_id),
        "group_id": group,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "isolation_level": "read_uncommitted",
        "check_crcs": True,
        "partition_assignment_strategy": (RangePartitionAssignor,),
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": session_ms // HEARTBEATS_PER_SESSION,
        "rebalance_timeout_ms": max(REBALANCE_TIMEOUT_MS, session_ms),
        "max_poll_interval_ms": MAX_POLL_INTERVAL_MS,
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "fetch_min_bytes": 1,
        "fetch_max_bytes": FETCH_MAX_BYTES,
        "max_partition_fetch_bytes": REQUEST_MAX_BYTES,
    }
