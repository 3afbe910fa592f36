"""Turns messages of the bus into commands. What cannot be one becomes a work with a defect, to be parked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from chassis.errors import PoisonMessage
from contracts.amounts import Money
from contracts.envelope import Envelope, EnvelopeError
from contracts.messages import (
    DeploymentFailed,
    DeploymentQueued,
    GatewayFeeCharged,
    Message,
    PaymentConfirmed,
    PaymentDisputed,
    PaymentInitiated,
    PaymentRefunded,
    RefundReported,
)
from ledger.application.work import Delivery, Work
from ledger.domain.commands import (
    BookFee,
    CaptureHold,
    Command,
    CreditPayment,
    KeepQuote,
    ReportDispute,
    ReportRefund,
    ReturnHold,
    ReversePayment,
    Worth,
)

USER_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""User ids are opaque and must fit into an account path."""


class MessageReader:
    """Reads messages for a ledger whose credit is ``asset``."""

    def __init__(self, asset: str) -> None:
        self._asset = asset
        self._readers: Mapping[str, tuple[type[Message], Callable[[Any], Command]]] = {
            PaymentInitiated.TYPE: (PaymentInitiated, self._quote),
            PaymentConfirmed.TYPE: (PaymentConfirmed, self._credit),
            PaymentRefunded.TYPE: (PaymentRefunded, self._reversal),
            RefundReported.TYPE: (RefundReported, self._refund),
            PaymentDisputed.TYPE: (PaymentDisputed, self._dispute),
            GatewayFeeCharged.TYPE: (GatewayFeeCharged, self._fee),
            DeploymentQueued.TYPE: (DeploymentQueued, self._capture),
            DeploymentFailed.TYPE: (DeploymentFailed, lambda message: ReturnHold(message.deployment_id)),
        }

    @property
    def types(self) -> frozenset[str]:
        """The message types that become commands."""
        return frozenset(self._readers)

    def work(self, delivery: Delivery, envelope: Envelope | None = None) -> Work:
        """The work of one delivery; ``envelope`` spares reading the headers again."""
        try:
            read = envelope or Envelope.from_record(delivery.record.headers, delivery.record.value)
            message_type, command = self._readers[read.type]
            return Work(command=command(message_type.from_envelope(read)), delivery=delivery)
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False, include_context=False)
            detail = "; ".join(f"{'.'.join(map(str, entry['loc'])) or 'value'}: {entry['msg']}" for entry in wrong)
            return Work(delivery=delivery, defect=PoisonMessage("bad-payload", detail))
        except EnvelopeError as error:
            return Work(delivery=delivery, defect=PoisonMessage("bad-envelope", str(error)))
        except PoisonMessage as poison:
            return Work(delivery=delivery, defect=poison)

    def _quote(self, message: PaymentInitiated) -> Command:
        if USER_ID.fullmatch(message.user_id) is None:
            raise PoisonMessage("bad-user-id", "the user id does not fit into an account path")
        return KeepQuote(
            payment_reference=message.reference,
            user_id=message.user_id,
            gateway=message.gateway,
            price=_positive(message.price),
            price_asset=message.price.asset,
            credits=self._credits(message.credits),
            bonus=self._credits(message.bonus),
            expires_at=_in_utc(message.expires_at),
        )

    def _credit(self, message: PaymentConfirmed) -> Command:
        # Money whose signed user id is unusable is not refused: it is booked, and waits for an owner.
        known = message.user_id is not None and USER_ID.fullmatch(message.user_id) is not None
        return CreditPayment(
            gateway=message.gateway,
            payment_id=message.gateway_payment_id,
            received=_positive(message.received),
            asset=message.received.asset,
            paid_at=_in_utc(message.paid_at),
            user_id=message.user_id if known else None,
            payment_reference=message.reference,
            worth=_worth(message.worth),
        )

    def _reversal(self, message: PaymentRefunded) -> Command:
        return ReversePayment(
            gateway=message.gateway,
            payment_id=message.gateway_payment_id,
            refunded_total=_positive(message.refunded_total),
            asset=message.refunded_total.asset,
        )

    def _refund(self, message: RefundReported) -> Command:
        return ReportRefund(
            gateway=message.gateway,
            payment_id=message.gateway_payment_id,
            refund_id=message.refund_id,
            amount=_positive(message.amount),
            asset=message.amount.asset,
            state=message.state,
        )

    def _dispute(self, message: PaymentDisputed) -> Command:
        return ReportDispute(
            gateway=message.gateway,
            payment_id=message.gateway_payment_id,
            dispute_id=message.dispute_id,
            state=message.state,
            amount=_positive(message.amount),
            asset=message.amount.asset,
        )

    def _fee(self, message: GatewayFeeCharged) -> Command:
        if not message.amount.units:
            raise PoisonMessage("bad-amount", "a fee of nothing is none")
        return BookFee(
            gateway=message.gateway,
            payment_id=message.gateway_payment_id,
            fee_id=message.fee_id,
            amount=message.amount.units,
            asset=message.amount.asset,
        )

    def _capture(self, message: DeploymentQueued) -> Command:
        return CaptureHold(
            deployment_id=message.deployment_id,
            commission=self._credits(message.commission),
            grid_payment=self._credits(message.grid_payment),
        )

    def _credits(self, money: Money) -> int:
        if money.asset != self._asset:
            raise PoisonMessage("wrong-asset", f"{money.asset} where {self._asset} belongs")
        if money.units < 0:
            raise PoisonMessage("bad-amount", "the amount is below zero")
        return money.units


def _in_utc(time: datetime) -> datetime:
    """One without a zone is meant in UTC: it could not be compared with others, and money is not refused for it."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _worth(money: Money | None) -> Worth | None:
    """A worth of nothing buys nothing: the money waits for somebody to look at it, and is not refused."""
    return Worth(money.units, money.asset) if money is not None and money.units > 0 else None


def _positive(money: Money) -> int:
    if money.units <= 0:
        raise PoisonMessage("bad-amount", "the amount is not above zero")
    return money.units
