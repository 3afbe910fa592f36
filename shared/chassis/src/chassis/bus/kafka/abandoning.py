"""Ends a client of aiokafka that its own ``stop`` would not end: the only place that reaches into its insides.

An idempotent producer waits for its last batch for ever when the brokers are gone, in ``stop`` too. Here its
connections are cut first, so that nothing that it still holds can land after what is sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

import structlog

CLOSE_TIMEOUT_S = 3.0

log = structlog.get_logger(__name__)


def track_sends(producer: Any) -> set[asyncio.Task[None]]:
    """The requests that a producer that is not started yet will have under way, at any time.

    The client keeps them to itself and cancels none; one that is still connecting would send after all.
    """
    under_way: set[asyncio.Task[None]] = set()
    send = producer._sender._send_produce_req

    async def tracked(node: Any, batches: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        try:
            await send(node, batches)
        finally:
            under_way.discard(task)

    producer._sender._send_produce_req = tracked
    return under_way


async def abandon_producer(producer: Any, sends: Collection[asyncio.Task[None]] = ()) -> None:
    """Cut the producer off; returns when its connections are closed. Whatever was unsent is dropped. Never raises."""
    # Its finalizer would complain, and a later stop() would wait.
    producer._closed = True
    sender = producer._sender.sender_task
    tasks = [*sends, *([sender] if sender is not None else [])]
    for task in tasks:
        task.cancel()
    await ends_in_time(producer.client.close(), CLOSE_TIMEOUT_S)
    for task in tasks:
        await ends_in_time(_ended(task), CLOSE_TIMEOUT_S)


async def abandon_consumer(consumer: Any) -> None:
    """Let the consumer fall silent like a killed process: it neither commits nor leaves its group. Never raises."""
    consumer._closed = True
    coordinator = consumer._coordinator
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")
    tasks = [task for name in names if (task := getattr(coordinator, name, None)) is not None]
    for task in tasks:
        task.cancel()
    for task in tasks:
        await ends_in_time(_ended(task), CLOSE_TIMEOUT_S)
    if consumer._fetcher is not None:
        await ends_in_time(consumer._fetcher.close(), CLOSE_TIMEOUT_S)
    await ends_in_time(consumer._client.close(), CLOSE_TIMEOUT_S)


async def ends_in_time(closing: Coroutine[Any, Any, Any], timeout_s: float) -> bool:
    """Whether the closing ended within that time without an error; it is cancelled otherwise. Never raises.

    In a task of its own: the client's closing raises the CancelledError of tasks that it cancels itself, which must
    not look as if we were cancelled.
    """
    task = asyncio.ensure_future(closing)
    await asyncio.wait({task}, timeout=timeout_s)
    if not task.done():
        task.cancel()
        return False
    if task.cancelled() or task.exception() is not None:
        log.info("kafka_client_closed_badly", error="cancelled" if task.cancelled() else repr(task.exception()))
        return False
    return True


async def _ended(task: asyncio.Task[Any]) -> None:
    await asyncio.wait({task})
    if not task.cancelled():
        # Looked at, so that the loop does not complain; a client that is thrown away may fail in any way.
        task.exception()
