"""The bus on Apache Kafka, by aiokafka.

Owns what that client needs around it to be trusted with money: bounded waits, a producer that is thrown away rather
than hoped for, positions that are chosen by us alone. What must happen once is still the business of the inbox.
"""

from chassis.bus.kafka.bus import KafkaBus

__all__ = ["KafkaBus"]
