"""Whether money came or went, where a bank says it in a column of its own beside an amount without a sign.

What is no known word is refused: taken for incoming, it would be money that never came.
"""

from __future__ import annotations

from payments_api.application.bank_statements import StatementRefused

COLUMNS = frozenset(
    {
        "debit credit",
        "credit debit",
        "dr cr",
        "cr dr",
        "d c",
        "c d",
        "drcr",
        "crdr",
        "dc",
        "debit credit indicator",
        "credit debit indicator",
        "debit credit mark",
        "dc indicator",
        "cdtdbtind",
        "indicator",
        "direction",
        "sign",
        "soll haben",
        "s h",
        "débit crédit",
        "debit ou credit",
        "sens",
    }
)
"""Names of such a column; a slash, a hyphen and an underscore count as spaces."""
KIND_COLUMNS = frozenset({"type", "transaction type", "entry type", "booking type"})
"""Names of a column that says it at some banks, and at others what kind of transfer it was."""

_INCOMING = frozenset(
    {
        "c",
        "cr",
        "crdt",
        "credit",
        "credits",
        "crédit",
        "crédits",
        "+",
        "in",
        "incoming",
        "inbound",
        "deposit",
        "received",
        "h",
        "haben",
        "gutschrift",
    }
)
_OUTGOING = frozenset(
    {
        "d",
        "dr",
        "dbit",
        "dt",
        "debit",
        "debits",
        "débit",
        "débits",
        "-",
        "out",
        "outgoing",
        "outbound",
        "withdrawal",
        "sent",
        "s",
        "soll",
        "lastschrift",
        "belastung",
    }
)
_SHOWN_MAX_CHARS = 40


def is_side(text: str) -> bool:
    """Whether it is a known word for one of the two."""
    return _word(text) in _INCOMING | _OUTGOING


def is_incoming(text: str, title: str, line: int) -> bool:
    """Whether money came; ``title`` names the column. Raises StatementRefused for what is no known word."""
    if not is_side(text):
        shown = text[:_SHOWN_MAX_CHARS]
        raise StatementRefused(
            "unknown_side", f"the column {title!r} says {shown!r}: neither that money came nor that it went", line
        )
    return _word(text) in _INCOMING


def _word(text: str) -> str:
    return " ".join(text.split()).rstrip(".").lower()
