"""The decision about what gateways keep for themselves, by their own figures. Touches no wallet."""

from __future__ import annotations

from ledger.domain.commands import BookFee
from ledger.domain.conversion import CreditTerms
from ledger.domain.decision import Decision
from ledger.domain.events import GatewayFeeBooked
from ledger.domain.journal import entry, fees_account, gateway_account, move
from ledger.domain.states import Books


def book_fee(books: Books, terms: CreditTerms, command: BookFee) -> Decision:
    """Book the fee, once by its id: what the gateway kept of what it took in for us, it owes us no more."""
    booked = GatewayFeeBooked(
        originator_id=f"fee:{command.gateway}:{command.fee_id}",
        originator_version=1,
        reference=command.reference,
        postings=entry(
            *move(fees_account(command.gateway), gateway_account(command.gateway), command.asset, command.amount)
        ),
        gateway=command.gateway,
        payment_id=command.payment_id,
        fee_id=command.fee_id,
        amount=command.amount,
        asset=command.asset,
    )
    return Decision([booked])
