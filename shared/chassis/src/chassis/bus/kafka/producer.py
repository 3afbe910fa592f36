"""The producer: every publish ends, and after any failure its client is thrown away before anything is sent again.

The client that is thrown away has its connections closed first: what it still held cannot land behind what is resent,
so records of a key keep their order. What it had delivered already comes twice, which consumers expect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from chassis.bus.kafka.abandoning import abandon_producer, ends_in_time
from chassis.bus.kafka.address import KafkaAddress
from chassis.bus.kafka.errors import away, kafka_errors
from chassis.bus.kafka.options import producer_options
from chassis.bus.port import OutgoingRecord, UnknownTopic, refuse_too_large

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
            await abandon_producer(client)

    async def _started(self) -> Any:
        if self._client is not None:
            return self._client
        client = AIOKafkaProducer(**producer_options(self._address, self._client_id))
        try:
            with kafka_errors("connecting the producer"):
                async with asyncio.timeout(START_TIMEOUT_S):
                    await client.start()
        except BaseException:
            await asyncio.shield(abandon_producer(client))
            raise
        self._client = client
        return client

    async def _abandon(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            log.warning("kafka_producer_abandoned", client=self._client_id)
            await abandon_producer(client)


async def _deliver(client: Any, records: Sequence[OutgoingRecord]) -> None:
    """Hand all to the client in order and wait until each is acknowledged. The first failure ends the waiting."""
    for topic in dict.fromkeys(record.topic for record in records):
        await _require_topic(client, topic)
    deliveries: list[asyncio.Future[Any]] = []
    try:
        for record in records:
            headers = list(record.headers)
            delivery = await client.send(record.topic, key=record.key, value=record.value, headers=headers)
            deliveries.append(delivery)
        await asyncio.gather(*deliveries)
    finally:
        for delivery in deliveries:
            _forget(delivery)


async def _require_topic(client: Any, topic: str) -> None:
    """Raises UnknownTopic, after the brokers were asked."""
    try:
        await client.partitions_for(topic)
    except UnknownTopicOrPartitionError:
        raise UnknownTopic(topic) from None


def _forget(delivery: asyncio.Future[Any]) -> None:
    """Nobody looks at the others' outcome once one failed; the loop must not complain about that."""
    if delivery.done() and not delivery.cancelled():
        delivery.exception()
    else:
        delivery.cancel()
