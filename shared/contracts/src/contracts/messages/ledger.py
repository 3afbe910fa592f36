"""Topic ``ledger``: what became of money, told once the books hold it.

Every message about a wallet carries the wallet as it was after the event, with its version: who shows balances drops
whatever is older than what was shown already.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.amounts import Money
from contracts.messages.message import Identifier, Message
from contracts.topics import LEDGER

TransactionType = Literal["Purchase", "Deployment", "Refund", "Transfer", "AdminAdjustment"]
PurchaseRule = Literal["quote", "underpaid", "topped_up", "overpaid", "expired", "base_rate", "worth"]


class WalletSnapshot(BaseModel):
    """A wallet after an event: what can be spent, what is held, what is owed, and how many events it has."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    user_id: Identifier
    version: int
    available: Money
    held: Money
    debt: Money


class TransactionRow(BaseModel):
    """One line of a person's history. ``amount`` is signed; balances are of what can be spent, less any debt."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Identifier
    user_id: Identifier
    transaction_type: TransactionType
    amount: Money
    balance_before: Money
    balance_after: Money
    description: str
    metadata: dict[str, str | int] = Field(default_factory=dict)
    created_at: datetime


class WalletMessage(Message):
    """Base of the messages about one wallet. ``transaction`` is absent where history gets no line."""

    TOPIC: ClassVar[str] = LEDGER

    reference: Identifier
    wallet: WalletSnapshot
    transaction: TransactionRow | None = None


class CreditsPurchased(WalletMessage):
    """A payment became credits. ``payment_reference`` is ours, if the payment had one; ``credits`` includes bonus."""

    TYPE: ClassVar[str] = "gridledger.ledger.CreditsPurchased.v1"

    gateway: Identifier
    gateway_payment_id: Identifier
    payment_reference: Identifier | None
    received: Money
    credits: Money
    bonus: Money
    rule: PurchaseRule


class CreditsHeld(WalletMessage):
    """Credits were set aside for a deployment."""

    TYPE: ClassVar[str] = "gridledger.ledger.CreditsHeld.v1"

    deployment_id: Identifier
    amount: Money


class HoldCaptured(WalletMessage):
    """A hold was taken and split; the parts sum to ``amount``."""

    TYPE: ClassVar[str] = "gridledger.ledger.HoldCaptured.v1"

    deployment_id: Identifier
    amount: Money
    commission: Money
    grid_payment: Money


class HoldReleased(WalletMessage):
    """A hold was given back before it was taken."""

    TYPE: ClassVar[str] = "gridledger.ledger.HoldReleased.v1"

    deployment_id: Identifier
    amount: Money


class CreditsRefunded(WalletMessage):
    """A captured hold went back in full, by the amounts recorded at capture."""

    TYPE: ClassVar[str] = "gridledger.ledger.CreditsRefunded.v1"

    deployment_id: Identifier
    amount: Money
    commission: Money
    grid_payment: Money


class CreditsSent(WalletMessage):
    """Credits left for another wallet."""

    TYPE: ClassVar[str] = "gridledger.ledger.CreditsSent.v1"

    to_user_id: Identifier
    amount: Money


class CreditsReceived(WalletMessage):
    """Credits came from another wallet."""

    TYPE: ClassVar[str] = "gridledger.ledger.CreditsReceived.v1"

    from_user_id: Identifier
    amount: Money


class CreditsAdjusted(WalletMessage):
    """An operator changed a wallet; ``amount`` is signed."""

    TYPE: ClassVar[str] = "gridledger.ledger.CreditsAdjusted.v1"

    amount: Money
    reason: str


class PaymentReversed(WalletMessage):
    """A gateway took money back, and the credits that it had bought with it. ``credits_forgiven`` had been spent and
    were not taken, where the books are told not to make debts of refunds."""

    TYPE: ClassVar[str] = "gridledger.ledger.PaymentReversed.v1"

    gateway: Identifier
    gateway_payment_id: Identifier
    payment_reference: Identifier | None
    refunded_total: Money
    credits_taken: Money
    credits_forgiven: Money | None = None


class PaymentRestored(WalletMessage):
    """Money that was on its way back stayed here after all, and the credits that were taken for it came back.

    ``refunded_total`` is what of the payment has gone back now.
    """

    TYPE: ClassVar[str] = "gridledger.ledger.PaymentRestored.v1"

    gateway: Identifier
    gateway_payment_id: Identifier
    payment_reference: Identifier | None
    refunded_total: Money
    credits_returned: Money


class DisputeMessage(WalletMessage):
    """Base of the messages about a dispute. ``credits`` are what ``disputed`` had bought."""

    gateway: Identifier
    gateway_payment_id: Identifier
    payment_reference: Identifier | None
    dispute_id: Identifier
    disputed: Money
    credits: Money


class CreditsDisputed(DisputeMessage):
    """A dispute was opened: the credits are set aside until it ends; the wallet may owe them."""

    TYPE: ClassVar[str] = "gridledger.ledger.CreditsDisputed.v1"


class DisputeWon(DisputeMessage):
    """The dispute was decided for us: the credits came back."""

    TYPE: ClassVar[str] = "gridledger.ledger.DisputeWon.v1"


class DisputeLost(DisputeMessage):
    """The dispute was decided against us: money and credits are gone."""

    TYPE: ClassVar[str] = "gridledger.ledger.DisputeLost.v1"


class MoneyUnallocated(Message):
    """Money arrived that belongs to nobody yet. It is on the books and waits for its owner."""

    TYPE: ClassVar[str] = "gridledger.ledger.MoneyUnallocated.v1"
    TOPIC: ClassVar[str] = LEDGER

    reference: Identifier
    gateway: Identifier
    gateway_payment_id: Identifier
    payment_reference: Identifier | None
    received: Money
    reason: str
