"""A segregated-witness address as the script that outputs carry: BIP-173 and BIP-350, checksum included.

Blocks are matched by script, so the network's prefix does not matter here: payments-api gave the address out.
"""

from __future__ import annotations

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32, _BECH32M = 1, 0x2BC830A3
_CHECKSUM_CHARS = 6
_ADDRESS_MAX_CHARS = 90
_OP_1 = 0x51
_PROGRAM_BYTES = range(2, 41)
_V0_PROGRAM_BYTES = (20, 32)


class BadAddress(ValueError):
    """No address that coins can be awaited at."""


def script_of(address: str) -> str:
    """The scriptPubKey in hex. Raises BadAddress."""
    if address not in (address.lower(), address.upper()) or len(address) > _ADDRESS_MAX_CHARS:
        raise BadAddress("an address has one case and at most 90 characters")
    prefix, separator, data = address.lower().rpartition("1")
    values = [_VALUES.get(character, -1) for character in data]
    if not prefix or not separator or len(values) <= _CHECKSUM_CHARS or min(values) < 0:
        raise BadAddress("not a segregated-witness address")
    version = values[0]
    if _polymod(_expanded(prefix) + values) != (_BECH32 if version == 0 else _BECH32M):
        raise BadAddress("the checksum is wrong")
    program = _bytes_of(values[1:-_CHECKSUM_CHARS])
    _check_program(version, program)
    opcode = 0 if version == 0 else _OP_1 + version - 1
    return bytes([opcode, len(program), *program]).hex()


def _check_program(version: int, program: bytes) -> None:
    if version > 16 or len(program) not in _PROGRAM_BYTES:
        raise BadAddress("no such witness program")
    if version == 0 and len(program) not in _V0_PROGRAM_BYTES:
        raise BadAddress("a version 0 program has 20 or 32 bytes")


def _expanded(prefix: str) -> list[int]:
    codes = prefix.encode()
    return [code >> 5 for code in codes] + [0] + [code & 31 for code in codes]


def _polymod(values: list[int]) -> int:
    remainder = 1
    for value in values:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value
        for place, term in enumerate(_GENERATOR):
            remainder ^= term if top >> place & 1 else 0
    return remainder


def _bytes_of(values: list[int]) -> bytes:
    """Groups of five bits as bytes; what is left over must be less than a group, and zero."""
    number, bits = 0, 5 * len(values)
    for value in values:
        number = number << 5 | value
    spare = bits % 8
    if spare >= 5 or number & (1 << spare) - 1:
        raise BadAddress("bits are left over")
    return (number >> spare).to_bytes(bits // 8, "big")
