"""Kafka's errors in the port's words."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from chassis.bus.port import BusRefused
from chassis.errors import OperationalError

_REFUSALS = (
    AuthenticationFailedError,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    ssl.SSLCertVerificationError,
)


def away(doing: str, error: BaseException) -> OperationalError:
    """What was being done when the brokers failed us: it may work later."""
    said = str(error) or "no answer in time"
    kind = BusRefused if isinstance(error, _REFUSALS) else OperationalError
    return kind(f"kafka: {doing}: {type(error).__name__}: {said}")


@contextmanager
def kafka_errors(doing: str) -> Iterator[None]:
    """Raise OperationalError for whatever the client, the network or a time limit raises."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise away(doing, error) from error
