"""The topics of the bus and how many partitions each is created with.

The number of partitions is chosen once: adding some later would move keys and break the order per key.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PAYMENTS = "payments"
"""What gateways and payments-api say of payments. Key: gateway and its payment id, or our reference."""

LEDGER = "ledger"
"""What became of money. Key: the wallet."""

DEPLOYMENTS = "deployments"
"""The life of deployments. Key: the deployment."""


DEAD_LETTER_SUFFIX = ".dead-letter"


def dead_letter_topic(topic: str) -> str:
    """The twin of ``topic`` that holds the messages given up on."""
    return f"{topic}{DEAD_LETTER_SUFFIX}"


PARTITIONS: Mapping[str, int] = MappingProxyType(
    {
        PAYMENTS: 12,
        LEDGER: 12,
        DEPLOYMENTS: 12,
        dead_letter_topic(PAYMENTS): 1,
        dead_letter_topic(LEDGER): 1,
        dead_letter_topic(DEPLOYMENTS): 1,
    }
)
"""Partitions per topic. Twelve divides evenly among 2, 3, 4, 6 and 12 consumers."""
