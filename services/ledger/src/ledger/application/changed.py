"""Which rows a batch of events changed, so that just those are written back."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.application.ports import WrittenBatch
from ledger.domain import events
from ledger.domain.states import Books


def written_batch(books: Books, made: Sequence[events.LedgerEvent]) -> WrittenBatch:
    """The rows behind ``made``, as ``books`` have them now."""
    users: set[str] = set()
    charges: set[str] = set()
    payments: set[str] = set()
    quotes: set[str] = set()
    disputes: set[str] = set()
    for event in made:
        if isinstance(event, events.WalletEvent):
            users.add(event.user_id)
        if isinstance(event, _CHANGE_A_CHARGE):
            charges.add(event.deployment_id)
        elif isinstance(event, _CHANGE_A_PAYMENT):
            payments.add(f"{event.gateway}:{event.payment_id}")
            if isinstance(event, _CHANGE_A_DISPUTE):
                disputes.add(f"{event.gateway}:{event.payment_id}:{event.dispute_id}")
        elif isinstance(event, events.QuoteKept):
            quotes.add(event.payment_reference)
        elif isinstance(event, events.CreditsPurchased) and event.payment_reference in books.quotes:
            quotes.add(str(event.payment_reference))
    return WrittenBatch(
        events=made,
        references={event.reference: books.references[event.reference] for event in made},
        wallets=[books.wallets[user] for user in users],
        charges=[books.charges[charge] for charge in charges],
        payments=[books.payments[payment] for payment in payments],
        quotes=[books.quotes[quote] for quote in quotes],
        disputes=[books.disputes[dispute] for dispute in disputes],
    )


_CHANGE_A_CHARGE = (events.CreditsHeld, events.HoldCaptured, events.HoldReleased, events.CreditsRefunded)
_CHANGE_A_PAYMENT = (events.MoneyBack, events.MoneyUnallocated, events.MoneyAllocated, events.MoneyNamed)
_CHANGE_A_DISPUTE = (events.DisputeEvent, events.UnallocatedDisputed)
