"""A payer of bitcoins for tests: spends what a node mined for it, by transactions that it signs itself."""

from __future__ import annotations

from embit import ec, script
from embit.networks import NETWORKS
from embit.transaction import SIGHASH, Transaction, TransactionInput, TransactionOutput

from testkit.chains import Btcd

FEE = 10_000
MATURE_BLOCKS = 100


class MinersWallet:
    """One key, known to all: it owns what regtest pays it."""

    def __init__(self) -> None:
        self._key = ec.PrivateKey(b"\x11" * 32)
        self._script = script.p2pkh(self._key.get_public_key())
        self._coins: list[tuple[str, int, int]] = []
        self.address: str = self._script.address(NETWORKS["regtest"])

    def earn(self, node: Btcd, blocks: int = 3) -> None:
        """Mine until the first ``blocks`` can be spent."""
        for block in node.mine(blocks + MATURE_BLOCKS)[:blocks]:
            found = node.call("getblock", block, 2)
            coinbase = (found.get("rawtx") or found["tx"])[0]
            self._coins.append((coinbase["txid"], 0, int(coinbase["vout"][0]["value"] * 10**8)))

    def signed(self, *payments: tuple[str, int]) -> str:
        """A transaction in hex that pays (address, satoshis) each, and the rest to itself."""
        spent, place, units = self._coins.pop(0)
        outputs = [TransactionOutput(amount, script.address_to_scriptpubkey(to)) for to, amount in payments]
        change = units - FEE - sum(amount for _, amount in payments)
        outputs.append(TransactionOutput(change, self._script))
        tx = Transaction(2, [TransactionInput(bytes.fromhex(spent), place)], outputs)
        signature = self._key.sign(tx.sighash_legacy(0, self._script)).serialize() + bytes([SIGHASH.ALL])
        public_key = self._key.get_public_key().sec()
        pushes = bytes([len(signature)]) + signature + bytes([len(public_key)]) + public_key
        tx.vin[0].script_sig = script.Script(pushes)
        return str(tx.serialize().hex())
