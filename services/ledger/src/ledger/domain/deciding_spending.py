"""Decisions about credits that are spent on deployments: hold, capture, release, refund.

A hold has one life: held → captured → refunded, or held → released. What comes too late or twice has no effect.
"""

from __future__ import annotations

from ledger.domain.commands import CaptureHold, HoldCredits, ReturnHold, charge_reference
from ledger.domain.conversion import CreditTerms
from ledger.domain.decision import Decision, require_cover, wallet_event
from ledger.domain.events import CreditsHeld, CreditsRefunded, HoldCaptured, HoldReleased
from ledger.domain.journal import COMMISSION, GRID_PAYABLE, entry, held_account, move, wallet_account
from ledger.domain.refusals import Contradiction, TooEarly
from ledger.domain.states import Books, Charge


def hold_credits(books: Books, terms: CreditTerms, command: HoldCredits) -> Decision:
    """Set credits aside. Refused without cover."""
    wallet = books.wallet(command.user_id)
    require_cover(wallet, command.amount)
    postings = entry(*move(wallet_account(command.user_id), held_account(command.user_id), terms.asset, command.amount))
    held = wallet_event(
        CreditsHeld,
        wallet,
        command.reference,
        postings,
        spendable=-command.amount,
        held=command.amount,
        deployment_id=command.deployment_id,
        service_id=command.service_id,
        service_name=command.service_name,
        amount=command.amount,
    )
    return Decision([held])


def capture_hold(books: Books, terms: CreditTerms, command: CaptureHold) -> Decision:
    """Take the hold and split it. Succeeds whatever became of the wallet meanwhile: the credits are set aside."""
    charge = _charge(books, command.deployment_id)
    if command.commission + command.grid_payment != charge.amount or min(command.commission, command.grid_payment) < 0:
        raise Contradiction(f"the parts do not sum to the hold of {command.deployment_id}")
    if charge.state != "held":
        return Decision(no_effect=f"hold_{charge.state}")
    held = held_account(charge.user_id)
    postings = entry(
        *move(held, COMMISSION, terms.asset, command.commission),
        *move(held, GRID_PAYABLE, terms.asset, command.grid_payment),
    )
    captured = wallet_event(
        HoldCaptured,
        books.wallet(charge.user_id),
        command.reference,
        postings,
        held=-charge.amount,
        deployment_id=command.deployment_id,
        amount=charge.amount,
        commission=command.commission,
        grid_payment=command.grid_payment,
    )
    return Decision([captured])


def return_hold(books: Books, terms: CreditTerms, command: ReturnHold) -> Decision:
    """Release what is held, refund what was captured; anything else was returned before."""
    charge = _charge(books, command.deployment_id)
    if charge.state == "held":
        return Decision([_release(books, terms, charge)])
    if charge.state == "captured":
        return Decision([_refund(books, terms, charge)])
    return Decision(no_effect=f"hold_{charge.state}")


def _release(books: Books, terms: CreditTerms, charge: Charge) -> HoldReleased:
    postings = entry(*move(held_account(charge.user_id), wallet_account(charge.user_id), terms.asset, charge.amount))
    return wallet_event(
        HoldReleased,
        books.wallet(charge.user_id),
        f"deployment:{charge.deployment_id}:release",
        postings,
        spendable=charge.amount,
        held=-charge.amount,
        deployment_id=charge.deployment_id,
        service_name=charge.service_name,
        amount=charge.amount,
    )


def _refund(books: Books, terms: CreditTerms, charge: Charge) -> CreditsRefunded:
    account = wallet_account(charge.user_id)
    postings = entry(
        *move(COMMISSION, account, terms.asset, charge.commission),
        *move(GRID_PAYABLE, account, terms.asset, charge.grid_payment),
    )
    return wallet_event(
        CreditsRefunded,
        books.wallet(charge.user_id),
        f"deployment:{charge.deployment_id}:refund",
        postings,
        spendable=charge.amount,
        deployment_id=charge.deployment_id,
        service_name=charge.service_name,
        amount=charge.amount,
        commission=charge.commission,
        grid_payment=charge.grid_payment,
    )


def _charge(books: Books, deployment_id: str) -> Charge:
    charge = books.charges.get(deployment_id)
    if charge is None:
        raise TooEarly(charge_reference(deployment_id))
    return charge
