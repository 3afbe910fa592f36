"""Who gets which partition: Kafka's range assignment, as a pure function.

Every topic on its own: its partitions in order are cut into as many runs as there are members who want it. Members
with the same subscriptions so get the same partition numbers of every topic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from chassis.bus.port import TopicPartition


def range_assignment(
    subscriptions: Mapping[str, Collection[str]], partitions: Mapping[str, int]
) -> dict[TopicPartition, str]:
    """Partition → member, for member → topics and topic → number of partitions. Unwanted topics do not appear."""
    assigned: dict[TopicPartition, str] = {}
    for topic, count in partitions.items():
        members = sorted(member for member, topics in subscriptions.items() if topic in topics)
        for place, member in enumerate(members):
            first = place * count // len(members)
            beyond = (place + 1) * count // len(members)
            assigned.update((TopicPartition(topic, number), member) for number in range(first, beyond))
    return assigned
