"""The producer: every publish ends, and after any failure its client is thrown away before anything is sent again.

The client that is thrown away has its connections closed first: what it still held cannot land behind what is resent,
so records of a key keep their order. What it had delivered already comes twice, which consumers expect.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from chassis.bus.kafka.abandoning import abandon_producer, ends_in_time, track_sends
from chassis.bus.kafka.address import KafkaAddress
from chassis.bus.kafka.errors import away, kafka_errors
from chassis.bus.kafka.options import producer_options
from chassis.bus.partitioning import partition_of
from chassis.bus.port import OutgoingRecord, TopicPartition, UnknownTopic, refuse_too_large

START_TIMEOUT_S = 10.0
PUBLISH_TIMEOUT_S = 15.0
"""Below the relay's own limit: a publish fails here, with its client thrown away, before it is cancelled there."""
CLOSE_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)


class KafkaProducer:
    """See ``chassis.bus.port.Producer``. Publishes of several tasks follow one another."""

    def __init__(self, address: KafkaAddress, client_id: str) -> None:
        self._address = address
        self._client_id = client_id
        self._client: Any = None
        self._sends: Collection[asyncio.Task[None]] = ()
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """See the port."""
        async with self._turn:
            await self._started()

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """See the port."""
        refuse_too_large(records)
        if not records:
            return
        async with self._turn:
            client = await self._started()
            try:
                async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                    await _deliver(client, records)
            except (KafkaError, OSError, TimeoutError) as error:
                await self._abandon()
                raise away(f"publishing {len(records)} records", error) from error
            except UnknownTopic:
                # Found before anything was sent: the client is as good as before.
                raise
            except BaseException:
                # Cancelled, or a bug: what is under way must not land behind what is sent next.
                await asyncio.shield(self._abandon())
                raise

    async def close(self) -> None:
        """See the port."""
        client, self._client = self._client, None
        if client is None:
            return
        if not await ends_in_time(client.stop(), CLOSE_TIMEOUT_S):
            log.warning("kafka_producer_abandoned", client=self._client_id)
            await abandon_producer(client, self._sends)

    async def _started(self) -> Any:
        if self._client is not None:
            return self._client
        client = AIOKafkaProducer(**producer_options(self._address, self._client_id))
        self._sends = track_sends(client)
        try:
            with kafka_errors("connecting the producer"):
                async with asyncio.timeout(START_TIMEOUT_S):
                    await client.start()
        except BaseException:
            await asyncio.shield(abandon_producer(client, self._sends))
            raise
        self._client = client
        return client

    async def _abandon(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            log.warning("kafka_producer_abandoned", client=self._client_id)
            await abandon_producer(client, self._sends)


async def _deliver(client: Any, records: Sequence[OutgoingRecord]) -> None:
    """Send all; of each partition one batch at a time, the next when that one is acknowledged.

    The client itself would send a partition's next batch although the one before it failed.
    """
    waiting = await _by_partition(client, records)
    while waiting:
        batches = [await _send_batch(client, partition, queue) for partition, queue in waiting.items()]
        await asyncio.gather(*batches)
        waiting = {partition: queue for partition, queue in waiting.items() if queue}


async def _by_partition(client: Any, records: Sequence[OutgoingRecord]) -> dict[TopicPartition, deque[OutgoingRecord]]:
    """Where each goes, in order. Raises UnknownTopic."""
    counts = {topic: await _partitions_of(client, topic) for topic in dict.fromkeys(record.topic for record in records)}
    placed: dict[TopicPartition, deque[OutgoingRecord]] = {}
    for record in records:
        partition = TopicPartition(record.topic, partition_of(record.key, counts[record.topic]))
        placed.setdefault(partition, deque()).append(record)
    return placed


async def _send_batch(client: Any, partition: TopicPartition, records: deque[OutgoingRecord]) -> asyncio.Future[Any]:
    """Take as many as fit off the front and hand them to the client; the answer comes when they are durable."""
    batch = client.create_batch()
    while records:
        first = records[0]
        if batch.append(key=first.key, value=first.value, timestamp=None, headers=list(first.headers)) is None:
            break
        records.popleft()
    # It waits for nothing more.
    batch.close()
    sent: asyncio.Future[Any] = await client.send_batch(batch, partition.topic, partition=partition.partition)
    return sent


async def _partitions_of(client: Any, topic: str) -> int:
    """How many the topic has. Raises UnknownTopic, after the brokers were asked."""
    try:
        return len(await client.partitions_for(topic))
    except UnknownTopicOrPartitionError:
        raise UnknownTopic(topic) from None
