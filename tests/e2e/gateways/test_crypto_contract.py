"""Crypto: a real Ethereum node with real transfers; what it mines is seen by the watcher, nobody tells it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from testkit.chains import Anvil

from .contract import GatewayContract, NotOfThisGateway, payment_units

pytestmark = pytest.mark.e2e
ETHER: Mapping[str, Any] = {"amount": "25", "currency": "USD", "crypto": {"currency": "ETH", "network": "Ethereum"}}


class ChainPlayer:
    """See contract.Player. What is told is a transaction, mined and confirmed."""

    name = "crypto"

    def __init__(self, person: Any, node: Anvil, token: str) -> None:
        self.request = ETHER
        self._person = person
        self._node = node
        self._token = token
        self._last_transaction = ""

    async def pays(self, payment: Mapping[str, Any]) -> None:
        await self.tells(payment, payment_units(payment))

    async def pays_in_silence(self, payment: Mapping[str, Any]) -> None:
        raise NotOfThisGateway("a chain sends no webhooks: whatever is known of it was asked for")

    async def tells(self, payment: Mapping[str, Any] | None, units: int, currency: str | None = None) -> httpx.Response:
        """In another currency: the same number of a token's units."""
        if payment is None:
            raise NotOfThisGateway("coins to an address of ours have its reference; others are not looked at")
        address = payment["wallet_address"]
        transaction = {"from": self._node.accounts()[0], "to": address, "value": hex(units)}
        if currency is not None:
            transfer = f"0xa9059cbb{int(address, 16):064x}{units:064x}"
            transaction |= {"to": self._token, "value": "0x0", "data": transfer}
        answer = await self._call("eth_sendTransaction", transaction)
        self._last_transaction = answer.json()["result"]
        self._node.mine(payment["confirmations_required"])
        return answer

    async def tells_again(self) -> httpx.Response:
        """The same signed transaction: a chain takes none twice."""
        signed = self._node.call("eth_getRawTransactionByHash", self._last_transaction)
        answer = await self._call("eth_sendRawTransaction", signed)
        assert "error" in answer.json(), answer.text
        self._node.mine(3)
        return answer

    async def forges(self, payment: Mapping[str, Any]) -> httpx.Response:
        """Blocks cannot be forged here; what a watcher would have seen can be claimed."""
        payment_id = f"ethereum.{secrets.token_hex(32)}.0"
        claim = {
            "gateway": "crypto",
            "name": f"{payment_id}.confirmed",
            "observed": {
                "kind": "confirmed",
                "payment_id": payment_id,
                "received": {"units": payment_units(payment), "asset": "ETH/18"},
                "reference": payment["reference"],
            },
        }
        url = self._person.stack.url("gateway-ingest") + "/v1/observations"
        headers = {"authorization": "Bearer guessed"}
        answer: httpx.Response = await self._person.http.post(url, json={"observations": [claim]}, headers=headers)
        return answer

    async def tells_of_failure(self, payment: Mapping[str, Any]) -> None:
        raise NotOfThisGateway("a chain knows of no payment that failed")

    async def goes_away(self) -> None:
        """No chain is asked when a payment begins, but its rate is: here of a coin whose sources do not answer."""
        self.request = {**ETHER, "crypto": {"currency": "DAI", "network": "Ethereum"}}

    async def comes_back(self) -> None:
        self.request = ETHER

    async def _call(self, method: str, *params: Any) -> httpx.Response:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer: httpx.Response = await self._person.http.post(self._node.url, json=request)
        return answer


class TestCrypto(GatewayContract):
    """The contract."""

    @pytest.fixture
    def gateways_visitor(self, coins_visitor: Any) -> Any:
        """On the stack that watches a node."""
        return coins_visitor

    @pytest.fixture
    def gateway(self, person: Any, coins_stack: Any) -> ChainPlayer:
        return ChainPlayer(person, coins_stack.node, coins_stack.token)
