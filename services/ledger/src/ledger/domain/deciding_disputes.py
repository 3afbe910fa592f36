"""Decisions about disputes: the credits are set aside while one is open, and go the way that it ends.

A dispute has one end. Its opening may be told after that and then has no effect. The wallet may owe what it spent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ledger.domain.commands import ReportDispute
from ledger.domain.conversion import CreditTerms
from ledger.domain.decision import Decision
from ledger.domain.events import CreditsDisputed, DisputeEvent, DisputeLost, DisputeWon, UnallocatedDisputed
from ledger.domain.journal import UNALLOCATED, entry, gateway_account, move
from ledger.domain.payment_states import Dispute, Figures, Payment, gone_back
from ledger.domain.refusals import Contradiction
from ledger.domain.returns import booked_payment, credits_back, money_back
from ledger.domain.states import Books, Wallet, evolve_wallet


def report_dispute(books: Books, terms: CreditTerms, command: ReportDispute) -> Decision:
    """Set aside, give back, or let go, by what the dispute is about and what is back or disputed already."""
    payment = booked_payment(books, command.payment_key, command.asset)
    dispute = books.disputes.get(command.dispute_key)
    if dispute is not None and dispute.state != "opened":
        if command.state not in ("opened", dispute.state):
            raise Contradiction(f"the dispute {command.dispute_key} was {dispute.state}, not {command.state}")
        return Decision(no_effect=f"dispute_{dispute.state}")
    figures = _figures_after(payment, dispute, command)
    if payment.user_id is None:
        return Decision([_without_owner(payment, command, figures)])
    event = credits_back(
        _KINDS[command.state],
        terms.asset,
        payment,
        books.wallet(payment.user_id),
        command.reference,
        figures,
        dispute_id=command.dispute_id,
        disputed=command.amount,
    )
    return Decision([event])


_KINDS: Mapping[str, type[DisputeEvent]] = {"opened": CreditsDisputed, "won": DisputeWon, "lost": DisputeLost}


def _figures_after(payment: Payment, dispute: Dispute | None, command: ReportDispute) -> Figures:
    open_before = dispute.amount if dispute is not None else 0
    open_after = command.amount if command.state == "opened" else 0
    return payment.figures._replace(
        disputed_total=payment.disputed_total - open_before + open_after,
        lost_total=payment.lost_total + (command.amount if command.state == "lost" else 0),
    )


def _without_owner(payment: Payment, command: ReportDispute, figures: Figures) -> UnallocatedDisputed:
    back = money_back(payment, figures)
    moved = move(UNALLOCATED, gateway_account(payment.gateway), payment.asset, back - payment.refunded)
    return UnallocatedDisputed(
        originator_id=payment.stream,
        originator_version=payment.version + 1,
        reference=command.reference,
        postings=entry(*moved),
        gateway=payment.gateway,
        payment_id=payment.payment_id,
        received_asset=payment.asset,
        refunded_total=back,
        dispute_id=command.dispute_id,
        disputed=command.amount,
        state=command.state,
        **figures._asdict(),
    )


def disputed_since(books: Books, asset: str, payment: Payment, wallet: Wallet) -> Iterator[CreditsDisputed]:
    """What open disputes set aside of a ``payment`` that has its owner only now; ``wallet`` is as it was credited."""
    figures = payment.figures._replace(disputed_total=0)
    payment = replace(payment, disputed_total=0)
    opened = [
        dispute
        for dispute in books.disputes.values()
        if dispute.state == "opened" and dispute.payment_key == payment.key
    ]
    for dispute in sorted(opened, key=lambda dispute: dispute.dispute_id):
        figures = figures._replace(disputed_total=figures.disputed_total + dispute.amount)
        reference = f"{payment.key}:dispute:{dispute.dispute_id}:allocated"
        event = credits_back(
            CreditsDisputed,
            asset,
            payment,
            wallet,
            reference,
            figures,
            dispute_id=dispute.dispute_id,
            disputed=dispute.amount,
        )
        yield event
        payment, wallet = gone_back(payment, event), evolve_wallet(wallet, event)
