"""Payment references survive a person: every single slip is seen, harmless differences are forgiven."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.references import ALPHABET, LENGTH, RANDOM_BITS, make_reference, normalize_reference

entropy = st.integers(min_value=0, max_value=(1 << RANDOM_BITS) - 1)


@given(entropy)
def test_a_reference_fits_every_gateway_and_reads_back(bits: int) -> None:
    reference = make_reference(bits)
    assert len(reference) == LENGTH <= 20
    assert reference.isascii()
    assert reference.isalnum()
    assert reference == reference.upper()
    assert normalize_reference(reference) == reference


@given(entropy, st.integers(min_value=2, max_value=LENGTH - 1), st.sampled_from(ALPHABET))
def test_a_single_wrong_character_is_seen(bits: int, place: int, wrong: str) -> None:
    reference = make_reference(bits)
    changed = reference[:place] + wrong + reference[place + 1 :]
    assert normalize_reference(changed) == (reference if changed == reference else None)


@given(entropy, st.integers(min_value=2, max_value=LENGTH - 2))
def test_two_swapped_neighbours_are_seen(bits: int, place: int) -> None:
    reference = make_reference(bits)
    swapped = reference[:place] + reference[place + 1] + reference[place] + reference[place + 2 :]
    assert normalize_reference(swapped) == (reference if swapped == reference else None)


def test_case_spaces_hyphens_and_lookalikes_are_forgiven() -> None:
    reference = make_reference(1 << 40)
    spoken = " ".join(reference[i : i + 4] for i in range(0, LENGTH, 4)).lower().replace("0", "o").replace("1", "l")
    assert normalize_reference(spoken) == reference
    assert normalize_reference(reference.replace("GL", "GL-")) == reference


@pytest.mark.parametrize("text", ["", "GL", "XX00000000000000", "GL" + "U" * 14, "GL" + "0" * 15])
def test_what_is_no_reference_is_none(text: str) -> None:
    assert normalize_reference(text) is None


@pytest.mark.parametrize("bits", [-1, 1 << RANDOM_BITS])
def test_entropy_out_of_range_is_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="65 bits"):
        make_reference(bits)
