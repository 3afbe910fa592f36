"""Why the books refuse. A refusal changes nothing.

Refusal
├── InsufficientFunds    not enough to spend
├── WalletLimit          the wallet would hold more than can be counted safely
├── SameWallet           a transfer to oneself
├── NothingToAllocate    no unallocated money under that payment
├── ReferenceConflict    the effect exists with another content: never right to repeat
├── TooEarly             what it builds on has not happened yet; it may pass later
└── Contradiction        it can never be right: a split that does not sum, a wrong currency
"""

from __future__ import annotations


class Refusal(Exception):
    """Base of all refusals; ``code`` is stable."""

    code = "refused"


class InsufficientFunds(Refusal):
    """``required`` is above what is ``available``, both in smallest units, at the wallet's ``version``."""

    code = "insufficient_funds"

    def __init__(self, required: int, available: int, version: int) -> None:
        super().__init__(f"required {required}, available {available}")
        self.required = required
        self.available = available
        self.version = version


class WalletLimit(Refusal):
    """The wallet would pass WALLET_MAX."""

    code = "wallet_limit"


class SameWallet(Refusal):
    """Sender and receiver are one."""

    code = "same_wallet"


class NothingToAllocate(Refusal):
    """No unallocated money is kept under that payment, or it cannot be converted."""

    code = "nothing_to_allocate"


class ReferenceConflict(Refusal):
    """The reference is taken by another content."""

    code = "reference_conflict"


class TooEarly(Refusal):
    """Waits for ``reference``."""

    code = "too_early"

    def __init__(self, reference: str) -> None:
        super().__init__(f"waits for {reference}")
        self.reference = reference


class Contradiction(Refusal):
    """The command contradicts what is on the books, or itself."""

    code = "contradiction"
