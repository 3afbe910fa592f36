"""The demo's account keys: made of a secret that each installation keeps, for coins that nobody should ever send.

Nobody but who has that secret can spend what comes there by mistake, so nothing is lost. The private keys are dropped
as soon as the public ones are made; Bitcoin's are of a test network.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from embit.bip32 import HDKey  # type: ignore[import-untyped]
from embit.networks import NETWORKS  # type: ignore[import-untyped]

from payments_api.adapters.gateways.crypto.keys import AccountKey, bitcoin_key, evm_key
from payments_api.domain.crypto_networks import Family

PURPOSE = b"gridledger demo coins"
"""Names the seed: HMAC-SHA512 of this under the secret, as BIP-32 takes it. Never changes."""
BITCOIN_ACCOUNT, EVM_ACCOUNT = "m/84h/1h/0h", "m/44h/60h/0h"


def demo_keys(secret: bytes) -> Mapping[Family, AccountKey]:
    """The same for the same secret."""
    root = HDKey.from_seed(hmac.digest(secret, PURPOSE, "sha512"))
    bitcoin = root.derive(BITCOIN_ACCOUNT).to_public().to_base58(NETWORKS["test"]["zpub"])
    evm = root.derive(EVM_ACCOUNT).to_public().to_base58(NETWORKS["main"]["xpub"])
    return {"bitcoin": bitcoin_key(bitcoin, "test"), "evm": evm_key(evm)}
