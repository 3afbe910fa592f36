"""Addresses that a simulated workload gets: of the right shape, derived from its name, and reaching nobody.

Public ones come from the ranges that are reserved for documentation.
"""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv4Network, IPv6Address

_DOCUMENTATION = (IPv4Network("192.0.2.0/24"), IPv4Network("198.51.100.0/24"), IPv4Network("203.0.113.0/24"))
_MYCELIUM_FIRST_BYTE = 0x04


def endpoints(name: str, *, public_ip: bool) -> dict[str, str]:
    """How the workload ``name`` is reached; the same at every call."""
    digest = hashlib.sha256(name.encode()).digest()
    # 400::/7 is the range of mycelium: the first byte is 4 or 5.
    mycelium = bytes([_MYCELIUM_FIRST_BYTE | digest[0] & 1]) + digest[1:16]
    found = {"mycelium_ip": str(IPv6Address(mycelium)), "private_ip": "10.20.2.2", "ssh_user": "root"}
    return found | ({"public_ip": str(_public(digest))} if public_ip else {})


def _public(digest: bytes) -> IPv4Address:
    network = _DOCUMENTATION[digest[16] % len(_DOCUMENTATION)]
    return network[2 + digest[17] % 250]
