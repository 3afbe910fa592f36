"""The messages, one module per topic, and the table of all of them."""

from __future__ import annotations

from contracts.messages.deployments import (
    ConnectionDetails,
    DeploymentActive,
    DeploymentFailed,
    DeploymentProvisioning,
    DeploymentQueued,
    DeploymentRequested,
    DeploymentUnknown,
)
from contracts.messages.ledger import (
    CreditsAdjusted,
    CreditsHeld,
    CreditsPurchased,
    CreditsReceived,
    CreditsRefunded,
    CreditsSent,
    HoldCaptured,
    HoldReleased,
    MoneyUnallocated,
    PaymentReversed,
    TransactionRow,
    WalletMessage,
    WalletSnapshot,
)
from contracts.messages.message import Message
from contracts.messages.payments import PaymentConfirmed, PaymentFailed, PaymentInitiated, PaymentRefunded

ALL_MESSAGES: tuple[type[Message], ...] = (
    PaymentInitiated,
    PaymentConfirmed,
    PaymentFailed,
    PaymentRefunded,
    CreditsPurchased,
    MoneyUnallocated,
    CreditsHeld,
    HoldCaptured,
    HoldReleased,
    CreditsRefunded,
    CreditsSent,
    CreditsReceived,
    CreditsAdjusted,
    PaymentReversed,
    DeploymentRequested,
    DeploymentQueued,
    DeploymentProvisioning,
    DeploymentActive,
    DeploymentFailed,
    DeploymentUnknown,
)

MESSAGES_BY_TYPE = {message.TYPE: message for message in ALL_MESSAGES}

__all__ = [
    "ALL_MESSAGES",
    "MESSAGES_BY_TYPE",
    "ConnectionDetails",
    "CreditsAdjusted",
    "CreditsHeld",
    "CreditsPurchased",
    "CreditsReceived",
    "CreditsRefunded",
    "CreditsSent",
    "DeploymentActive",
    "DeploymentFailed",
    "DeploymentProvisioning",
    "DeploymentQueued",
    "DeploymentRequested",
    "DeploymentUnknown",
    "HoldCaptured",
    "HoldReleased",
    "Message",
    "MoneyUnallocated",
    "PaymentConfirmed",
    "PaymentFailed",
    "PaymentInitiated",
    "PaymentRefunded",
    "PaymentReversed",
    "TransactionRow",
    "WalletMessage",
    "WalletSnapshot",
]
