"""The ledger's consumer group: fetched batches go to the engine, which settles them with their offsets and inbox."""

from __future__ import annotations

from collections.abc import Sequence

from chassis.consumer.batch_consumer import BatchConsumer
from chassis.consumer.delivery import Delivery as BusDelivery
from chassis.consumer.loop import Limits
from contracts.topics import DEPLOYMENTS, PAYMENTS
from ledger.adapters.books import GROUP
from ledger.application.engine import Engine
from ledger.application.work import Delivery, Work
from ledger.bootstrap import Parts

TOPICS = (PAYMENTS, DEPLOYMENTS)


def make_consumer(parts: Parts) -> BatchConsumer:
    """Consumes the ledger's topics until stopped."""
    engine = parts.engine

    async def process(deliveries: Sequence[BusDelivery]) -> None:
        await engine.submit([_work(engine, delivery) for delivery in deliveries]).wait()

    # A fetch fills a batch: the engine settles what it is handed at once.
    limits = Limits(fetch_max_records=parts.settings.batch_max)
    return BatchConsumer(parts.pool, parts.bus, GROUP, TOPICS, engine.reader.types, process, limits=limits)


def _work(engine: Engine, arrived: BusDelivery) -> Work:
    if arrived.envelope is None:
        return Work(delivery=Delivery(arrived.record, arrived.epoch, None), defect=arrived.poison)
    delivery = Delivery(arrived.record, arrived.epoch, arrived.envelope.id)
    return engine.reader.work(delivery, arrived.envelope)
