"""Payment URIs: what a wallet opens, or scans, to fill in address and amount. BIP-21 for Bitcoin, EIP-681 for the rest.

Amounts are written out in full, never with an exponent, so that no wallet reads them as a float.
"""

from __future__ import annotations

from payments_api.domain.crypto_networks import Coin


def payment_uri(coin: Coin, address: str, units: int, reference: str) -> str:
    """The URI that asks for ``units`` smallest units; wallets for Bitcoin show ``reference`` as message.

    Raises ValueError for what a URI cannot hold as it is: a reference is letters and digits.
    """
    if not (reference.isascii() and reference.isalnum()):
        raise ValueError("a reference is letters and digits")
    if coin.network.family == "bitcoin":
        return f"bitcoin:{address}?amount={in_whole_coins(units, coin.exponent)}&message={reference}"
    chain_id = coin.network.chain_id
    if chain_id is None:
        raise ValueError(f"{coin.network.key} has no chain id")
    if coin.contract is None:
        return f"ethereum:{address}@{chain_id}?value={units}"
    return f"ethereum:{coin.contract}@{chain_id}/transfer?address={address}&uint256={units}"


def in_whole_coins(units: int, exponent: int) -> str:
    """``0.00012345`` for 12345 units of a coin with 8 decimals; zeros at the end are left out."""
    whole, fraction = divmod(units, 10**exponent)
    decimals = str(fraction).rjust(exponent, "0").rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)
