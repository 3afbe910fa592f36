"""What deciding a command yields, and the pieces that all decisions are made of."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from ledger.domain.commands import Command
from ledger.domain.events import LedgerEvent, WalletEvent
from ledger.domain.journal import Entry
from ledger.domain.refusals import InsufficientFunds, WalletLimit
from ledger.domain.states import Wallet

WALLET_MAX = 10**18
"""Most that a wallet may hold or owe, in smallest units: a tenth of what the database's integer takes."""


class Decision(NamedTuple):
    """The events that a command makes; none when it has no effect, with the reason in ``no_effect``."""

    events: Sequence[LedgerEvent] = ()
    no_effect: str | None = None


def content_hash(command: Command) -> bytes:
    """What the effect was asked for with: the same reference with another hash is a conflict."""
    return sha256(command.content.encode("utf-8", "surrogatepass")).digest()


WalletEventType = TypeVar("WalletEventType", bound=WalletEvent)


def wallet_event(
    kind: type[WalletEventType],
    wallet: Wallet,
    reference: str,
    postings: Entry,
    *,
    spendable: int = 0,
    held: int = 0,
    **details: Any,
) -> WalletEventType:
    """The next event of ``wallet``, whose balances change by ``spendable`` and ``held``. Raises WalletLimit."""
    spendable_after, held_after = wallet.spendable + spendable, wallet.held + held
    if abs(spendable_after) > WALLET_MAX or held_after > WALLET_MAX:
        raise WalletLimit(f"wallet {wallet.user_id}")
    # A frozen dataclass of twenty fields takes longer to initialise than to decide about; a test holds that every
    # event made here has just the fields of its class.
    details["originator_id"] = wallet.stream
    details["originator_version"] = wallet.version + 1
    details["reference"] = reference
    details["postings"] = postings
    details["user_id"] = wallet.user_id
    details["spendable"] = spendable_after
    details["held"] = held_after
    event = object.__new__(kind)
    object.__setattr__(event, "__dict__", details)
    return event


def require_cover(wallet: Wallet, amount: int) -> None:
    """Raises InsufficientFunds when ``amount`` is above what can be spent."""
    if amount > wallet.spendable:
        raise InsufficientFunds(required=amount, available=wallet.available, version=wallet.version)
