"""Stripe's test cards, and what each does. Any other number is refused as incorrect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Error = tuple[str, str | None, str]
Use = Literal["saved", "paid", "off_session"]
"""What is done with a card: saved for later, paid with by its owner, charged while its owner is not there."""
ALWAYS: tuple[Use, ...] = ("saved", "paid", "off_session")


@dataclass(frozen=True, slots=True)
class Card:
    """``error`` is Stripe's code and message, with its decline code if it has one; None where the card pays.

    ``fails_when`` is what the error comes upon; ``afterwards`` is what follows on a payment: a dispute, or how its
    refunds go.
    """

    label: str
    error: Error | None = None
    afterwards: str = ""
    fails_when: tuple[Use, ...] = ALWAYS

    def error_when(self, use: Use) -> Error | None:
        """What comes of that use; None where it succeeds."""
        return self.error if use in self.fails_when else None


def _declined(
    label: str, code: str, decline_code: str | None, message: str, fails_when: tuple[Use, ...] = ALWAYS
) -> Card:
    return Card(label, (code, decline_code, message), fails_when=fails_when)


_EXPIRED = _declined("expired card", "expired_card", None, "Your card has expired.")
CARDS: Mapping[str, Card] = MappingProxyType(
    {
        "4242424242424242": Card("pays"),
        "4000000000000002": _declined("declined", "card_declined", "generic_decline", "Your card was declined."),
        "4000000000009995": _declined(
            "insufficient funds", "card_declined", "insufficient_funds", "Your card has insufficient funds."
        ),
        "4000000000000069": _EXPIRED,
        "4000000000000077": _EXPIRED,
        "4000000000000127": _declined("wrong CVC", "incorrect_cvc", None, "Your card's security code is incorrect."),
        "4000000000000341": _declined(
            "can be saved, then is declined",
            "card_declined",
            "generic_decline",
            "Your card was declined.",
            ("paid", "off_session"),
        ),
        "4000002500003155": Card("asks for its owner when it is saved, and never again"),
        "4000002760003184": _declined(
            "asks for its owner every time",
            "authentication_required",
            "authentication_required",
            "Your card was declined. This transaction requires authentication.",
            ("off_session",),
        ),
        "4000000000000259": Card("pays, then disputed", afterwards="disputed"),
        "4000000000007726": Card("pays; its refunds stay pending", afterwards="refund_pending"),
        "4000000000005126": Card("pays; its refunds fail later", afterwards="refund_fails"),
    }
)
INCORRECT = _declined("unknown", "incorrect_number", None, "Your card number is incorrect.")


def card_of(number: str) -> Card:
    """By its number, however it is spaced."""
    return CARDS.get(number.replace(" ", ""), INCORRECT)
