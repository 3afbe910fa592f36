"""Payment references: what a person types into a bank form or reads over the phone.

Sixteen characters: ``GL``, thirteen random characters of Crockford's base 32 (65 bits) and one check character. Only
upper-case letters and digits, at most 20 of them: ClickPesa's limit. The check is a polynomial over the field of 32
elements, so a single wrong character and a swap of two neighbours are always seen.
"""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PREFIX = "GL"
RANDOM_CHARACTERS = 13
RANDOM_BITS = 5 * RANDOM_CHARACTERS
LENGTH = len(PREFIX) + RANDOM_CHARACTERS + 1

_VALUES = {character: value for value, character in enumerate(ALPHABET)}
_FIELD_POLYNOMIAL = 0b100101
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})


def make_reference(entropy: int) -> str:
    """A reference from RANDOM_BITS bits of randomness. Raises ValueError when ``entropy`` is out of range."""
    if not 0 <= entropy < 1 << RANDOM_BITS:
        raise ValueError(f"entropy must have at most {RANDOM_BITS} bits")
    body = "".join(ALPHABET[entropy >> 5 * place & 31] for place in reversed(range(RANDOM_CHARACTERS)))
    return PREFIX + body + _check_character(body)


def normalize_reference(text: str) -> str | None:
    """The reference that a person meant by ``text``, or None if it is none.

    Spaces, hyphens and case are forgiven, O is read as 0, I and L as 1.
    """
    compact = "".join(text.split()).replace("-", "").upper()
    if len(compact) != LENGTH or not compact.startswith(PREFIX):
        return None
    body = compact[len(PREFIX) :].translate(_LOOKALIKES)
    if any(character not in _VALUES for character in body):
        return None
    return PREFIX + body if _check_character(body[:-1]) == body[-1] else None


def _check_character(body: str) -> str:
    remainder = 0
    for character in body:
        remainder = _times_generator(remainder ^ _VALUES[character])
    return ALPHABET[remainder]


def _times_generator(element: int) -> int:
    doubled = element << 1
    return doubled ^ _FIELD_POLYNOMIAL if doubled & 32 else doubled
