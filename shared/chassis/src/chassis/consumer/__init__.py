"""Consuming messages so that each takes effect once, in order per partition, and no bad one stops the others.

``MessageConsumer`` for handlers of single messages, ``BatchConsumer`` for an engine that makes one transaction of many.
"""

from chassis.consumer.applying import Handled, Handler, LostPartition
from chassis.consumer.batch_consumer import BatchConsumer, Process
from chassis.consumer.delivery import Delivery, Subscription
from chassis.consumer.fencing import ConsumerFenced
from chassis.consumer.liveness import ConsumerStalled
from chassis.consumer.loop import Limits
from chassis.consumer.message_consumer import MessageConsumer
from chassis.consumer.places import PlaceLost
from chassis.consumer.poison import as_poison

__all__ = [
    "BatchConsumer",
    "ConsumerFenced",
    "ConsumerStalled",
    "Delivery",
    "Handled",
    "Handler",
    "Limits",
    "LostPartition",
    "MessageConsumer",
    "PlaceLost",
    "Process",
    "Subscription",
    "as_poison",
]
