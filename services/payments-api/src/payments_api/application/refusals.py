"""What this service refuses, in its own words: the errors that people see as problem documents."""

from __future__ import annotations

from chassis.errors import DomainError, InvalidField, Unauthorized


class KeyReused(DomainError):
    """The Idempotency-Key stands for another request."""

    def __init__(self) -> None:
        super().__init__(
            "idempotency_key_reused", "This Idempotency-Key was used for another request", field="Idempotency-Key"
        )


class GatewayNotConfigured(InvalidField):
    """A gateway that we know, and that has no keys here."""

    def __init__(self, gateway: str) -> None:
        super().__init__("gateway", "gateway_not_configured", f"Payments through {gateway} are not set up here")


class UnknownGateway(InvalidField):
    """A gateway that nobody has heard of, or one that is switched off here."""

    def __init__(self) -> None:
        super().__init__("gateway", "unknown_gateway", "There is no such gateway")


class OutcomeUnknown(Exception):
    """The ledger did not answer in time; the purchase goes on in the background."""

    def __init__(self, deployment_id: str) -> None:
        super().__init__(deployment_id)
        self.deployment_id = deployment_id


def not_signed_in() -> Unauthorized:
    """No token, an unknown one, or one whose time is over: not told apart."""
    return Unauthorized("unauthorized", "Sign in first")
