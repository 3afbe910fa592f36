"""Decisions about credits that move without money: transfers between people, adjustments by operators."""

from __future__ import annotations

from ledger.domain.commands import AdjustWallet, Transfer
from ledger.domain.conversion import CreditTerms
from ledger.domain.decision import Decision, require_cover, wallet_event
from ledger.domain.events import CreditsAdjusted, CreditsReceived, CreditsSent
from ledger.domain.journal import ADJUSTMENTS, entry, move, wallet_account
from ledger.domain.refusals import SameWallet
from ledger.domain.states import Books


def transfer(books: Books, terms: CreditTerms, command: Transfer) -> Decision:
    """Move credits to another wallet. Refused without cover, and to oneself."""
    if command.from_user_id == command.to_user_id:
        raise SameWallet(command.from_user_id)
    sender, receiver = books.wallet(command.from_user_id), books.wallet(command.to_user_id)
    require_cover(sender, command.amount)
    postings = entry(
        *move(wallet_account(sender.user_id), wallet_account(receiver.user_id), terms.asset, command.amount)
    )
    sent = wallet_event(
        CreditsSent,
        sender,
        command.reference,
        postings,
        spendable=-command.amount,
        to_user_id=receiver.user_id,
        amount=command.amount,
    )
    received = wallet_event(
        CreditsReceived,
        receiver,
        f"transfer:{command.key}:received",
        (),
        spendable=command.amount,
        from_user_id=sender.user_id,
        amount=command.amount,
    )
    return Decision([sent, received])


def adjust_wallet(books: Books, terms: CreditTerms, command: AdjustWallet) -> Decision:
    """Give or take credits. Taking more than can be spent is refused."""
    wallet = books.wallet(command.user_id)
    if command.amount < 0:
        require_cover(wallet, -command.amount)
    adjusted = wallet_event(
        CreditsAdjusted,
        wallet,
        command.reference,
        entry(*move(ADJUSTMENTS, wallet_account(command.user_id), terms.asset, command.amount)),
        spendable=command.amount,
        amount=command.amount,
        reason=command.reason,
    )
    return Decision([adjusted])
