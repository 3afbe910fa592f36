"""Which payment a line is proposed for: references as people and banks maim them, amounts, and when nothing is said."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.references import ALPHABET, RANDOM_BITS, make_reference
from payments_api.application.bank_matching import Candidate, Matching, Proposal, references_in

CPU_MAX_S = 5.0
"""Matched one by one, these lines take minutes."""
ONE, TWO = make_reference(123_456_789), make_reference(987_654_321)


def candidate(name: str = "one", reference: str = ONE, **changed: Any) -> Candidate:
    given: dict[str, Any] = {"asset": "USD/2", "due": 150_000, "is_open": True}
    return Candidate(name, reference, **given | changed)


def propose(text: str, asset: str, units: int, candidates: Sequence[Candidate]) -> Proposal | None:
    return Matching(candidates).propose(text, asset, units)


@pytest.mark.parametrize(
    "text",
    [
        ONE,
        f"Invoice {ONE} thanks",
        f"/RFB/{ONE.lower()}/",
        f"{ONE[:6]}\n{ONE[6:]}",
        f"{ONE[:4]}-{ONE[4:8]}-{ONE[8:12]}-{ONE[12:]}",
        f"SVWZ+{ONE[:4]} {ONE[4:8]} {ONE[8:]}EREF+NOTPROVIDED",
        "GLGL" + ONE,
        ONE.replace("0", "O").replace("1", "I"),
    ],
)
def test_a_reference_is_found_however_it_is_written(text: str) -> None:
    assert references_in(text) == (ONE,)


@given(
    entropy=st.integers(0, (1 << RANDOM_BITS) - 1),
    before=st.text("XYZ 09.-/", max_size=30),
    cuts=st.sets(st.integers(1, 15), max_size=4),
)
def test_any_reference_is_found_behind_anything(entropy: int, before: str, cuts: set[int]) -> None:
    reference = make_reference(entropy)
    broken = "".join(f" {char}" if place in cuts else char for place, char in enumerate(reference))
    assert reference in references_in(before + broken)


@given(entropy=st.integers(0, (1 << RANDOM_BITS) - 1), place=st.integers(2, 15), step=st.integers(1, 31))
def test_a_wrong_character_is_never_a_reference(entropy: int, place: int, step: int) -> None:
    reference = make_reference(entropy)
    wrong = ALPHABET[(ALPHABET.index(reference[place]) + step) % 32]
    assert references_in(reference[:place] + wrong + reference[place + 1 :]) == ()


@pytest.mark.parametrize("text", ["", "GL", "thanks", "GLASGOW LIGHTING LTD INVOICE 7"])
def test_other_words_are_none(text: str) -> None:
    assert references_in(text) == ()


@pytest.mark.parametrize(
    ("units", "asset", "confidence", "reason"),
    [
        (150_000, "USD/2", "high", "reference_and_amount"),
        (149_999, "USD/2", "medium", "reference_amount_less"),
        (150_001, "USD/2", "medium", "reference_amount_more"),
        (150_000, "EUR/2", "medium", "reference_other_currency"),
    ],
)
def test_a_reference_decides_and_the_amount_says_how_sure_it_is(
    units: int, asset: str, confidence: Any, reason: Any
) -> None:
    others = [candidate("two", TWO), candidate()]
    assert propose(f"for {ONE}", asset, units, others) == Proposal("one", confidence, reason)


def test_a_closed_payment_is_still_named_by_its_reference() -> None:
    closed = candidate(is_open=False, due=0)
    assert propose(ONE, "USD/2", 5, [closed]) == Proposal("one", "medium", "reference_amount_more")


def test_two_references_are_for_a_person_to_take_apart() -> None:
    assert propose(f"{ONE} {TWO}", "USD/2", 300_000, [candidate(), candidate("two", TWO)]) is None


def test_a_reference_of_nobody_is_not_somebody_elses_by_its_amount() -> None:
    assert propose(make_reference(5), "USD/2", 150_000, [candidate()]) is None


def test_a_slip_of_the_pen_is_seen() -> None:
    wrong = ONE[:-1] + ("A" if ONE[-1] != "A" else "B")
    assert propose(wrong, "USD/2", 1, [candidate(), candidate("two", TWO)]) == Proposal(
        "one", "medium", "almost_reference"
    )
    assert propose(wrong, "USD/2", 1, [candidate(is_open=False)]) is None


def test_without_a_reference_only_one_fitting_amount_is_proposed() -> None:
    fitting = candidate()
    assert propose("thanks", "USD/2", 150_000, [fitting, candidate("two", TWO, due=1)]) == Proposal(
        "one", "low", "amount_only"
    )
    assert propose("thanks", "USD/2", 150_000, [fitting, candidate("two", TWO)]) is None
    assert propose("thanks", "EUR/2", 150_000, [fitting]) is None
    assert propose("thanks", "USD/2", 150_000, [candidate(is_open=False)]) is None


@given(entropy=st.integers(0, (1 << RANDOM_BITS) - 1), place=st.integers(2, 15), step=st.integers(1, 31))
def test_any_slip_of_the_pen_is_seen(entropy: int, place: int, step: int) -> None:
    meant = make_reference(entropy)
    slip = ALPHABET[(ALPHABET.index(meant[place]) + step) % 32]
    found = propose(f"for {meant[:place]}{slip}{meant[place + 1 :]}", "USD/2", 1, [candidate(reference=meant)])
    assert found == Proposal("one", "medium", "almost_reference")


def test_two_slips_are_none() -> None:
    wrong = "".join("A" if char != "A" else "B" for char in ONE[-2:])
    assert propose(ONE[:-2] + wrong, "USD/2", 1, [candidate()]) is None


def test_a_long_statement_and_many_payments_do_not_multiply() -> None:
    """Whoever begins payments, and whoever writes a transfer's text, must not be able to stop the service."""
    open_ones = [candidate(str(number), make_reference(number)) for number in range(2_000)]
    began = time.process_time()
    matching = Matching(open_ones)
    for _ in range(2_000):
        assert matching.propose("GL0" * 40, "USD/2", 1) is None
    assert time.process_time() - began < CPU_MAX_S
