"""Which payment a statement's line is for: by our reference anywhere in its text, else by what is due.

Pure. Only proposes: a person accepts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from contracts.references import LENGTH, PREFIX, normalize_reference

Confidence = Literal["high", "medium", "low"]
Reason = Literal[
    "reference_and_amount",
    "reference_amount_less",
    "reference_amount_more",
    "reference_other_currency",
    "almost_reference",
    "amount_only",
]

_NOT_OF_A_REFERENCE = re.compile(r"[^0-9A-Z]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bank payment. ``due`` smallest units of ``asset`` have not come yet; below zero, if more came."""

    payment_id: str
    reference: str
    asset: str
    due: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """``low`` goes by the amount alone: whoever accepts it must name the payment."""

    payment_id: str
    confidence: Confidence
    reason: Reason


def references_in(text: str) -> Sequence[str]:
    """Our references in what a payer wrote, each once: banks break lines, add hyphens and words, change the case."""
    return tuple(dict.fromkeys(found for window in _windows(text) if (found := normalize_reference(window))))


class Matching:
    """Proposals among ``candidates``, who are sorted once: a statement has thousands of lines, and payments are
    begun by anybody."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._by_reference = {candidate.reference: candidate for candidate in candidates}
        self._by_due: dict[tuple[str, int], list[Candidate]] = {}
        self._by_blurred: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            if candidate.is_open:
                self._by_due.setdefault((candidate.asset, candidate.due), []).append(candidate)
                for blurred in _blurred(candidate.reference):
                    self._by_blurred.setdefault(blurred, []).append(candidate)

    def propose(self, text: str, asset: str, units: int) -> Proposal | None:
        """The payment that ``units`` of ``asset`` with ``text`` are for; None when there is none, or more than one."""
        named = references_in(text)
        if named:
            meant = [self._by_reference[reference] for reference in named if reference in self._by_reference]
            return _by_reference(meant[0], asset, units) if len(meant) == 1 else None
        # A check digit tells of every single wrong character, so this is a slip of the pen and not another payment.
        almost = self._almost(text)
        if almost:
            return Proposal(almost.pop(), "medium", "almost_reference") if len(almost) == 1 else None
        fitting = self._by_due.get((asset, units), [])
        return Proposal(fitting[0].payment_id, "low", "amount_only") if len(fitting) == 1 else None

    def _almost(self, text: str) -> set[str]:
        """The open payments whose reference stands in ``text`` with one wrong character."""
        blurred = {one for window in dict.fromkeys(_windows(text)) for one in _blurred(window)}
        return {found.payment_id for one in blurred for found in self._by_blurred.get(one, ())}


def _by_reference(candidate: Candidate, asset: str, units: int) -> Proposal:
    if candidate.asset != asset:
        return Proposal(candidate.payment_id, "medium", "reference_other_currency")
    if units == candidate.due:
        return Proposal(candidate.payment_id, "high", "reference_and_amount")
    less = units < candidate.due
    return Proposal(candidate.payment_id, "medium", "reference_amount_less" if less else "reference_amount_more")


def _windows(text: str) -> Sequence[str]:
    compact = _NOT_OF_A_REFERENCE.sub("", text.upper())
    starts = (match.start() for match in re.finditer(PREFIX, compact))
    return [compact[start : start + LENGTH] for start in starts if start + LENGTH <= len(compact)]


def _blurred(text: str) -> Sequence[str]:
    """The text with each of its characters made unreadable in turn: two that differ in one have one in common."""
    return [f"{text[:place]}*{text[place + 1 :]}" for place in range(len(text))]
