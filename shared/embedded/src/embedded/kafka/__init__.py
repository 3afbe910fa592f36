"""Apache Kafka as plain JVM processes on this machine, for whoever has Java but no containers.

Brokers that are controllers as well (KRaft), on the loopback address only. Knows nothing of topics, of messages or of
who uses the bus.
"""

from embedded.kafka.cluster import KafkaProcesses
from embedded.kafka.installation import KafkaError, KafkaInstallation, KafkaMissing, installed_kafka
from embedded.kafka.node import SMALL_JVM, KafkaNode, broker_settings, command, new_cluster_id, prepare
from embedded.kafka.probe import brokers_at

__all__ = [
    "SMALL_JVM",
    "KafkaError",
    "KafkaInstallation",
    "KafkaMissing",
    "KafkaNode",
    "KafkaProcesses",
    "broker_settings",
    "brokers_at",
    "command",
    "installed_kafka",
    "new_cluster_id",
    "prepare",
]
