"""An operator who has a service look at single transactions, and a contract that sends coins from within."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway_ingest.adapters.chains.json_rpc import JsonRpc, NodeRefused
from gateway_ingest.application.looking import Report
from gateway_ingest.entrypoints import look_command
from testkit.chains import Anvil

from .coin_desk import CoinDesk
from .conftest import settings

# CALL with all that came, to the address in the call's data; and a creation that leaves this code.
FORWARDER = "0x6e6000600060006000346000355af100600052600f6011f3"


class Operator:
    """At the desk of a service that watches the node."""

    def __init__(self, desk: CoinDesk, told: dict[str, Any], dsn: str, network: str = "ethereum") -> None:
        self.desk = desk
        self._network = network
        self._settings = settings(dsn, **told)

    async def types(self, tx: str, *arguments: str) -> Report:
        parser = argparse.ArgumentParser()
        look_command.add_arguments(parser)
        asked = parser.parse_args(["look", "--network", self._network, "--tx", tx, *arguments])
        return await look_command.look(self._settings, asked)

    async def looks(self, tx: str, *arguments: str) -> list[str]:
        """What was found, in words."""
        report = await self.types(tx, *arguments)
        return [
            f"{one.done} {one.deposit.place} {one.deposit.amount.units} {one.deposit.state}" for one in report.found
        ]

    async def told(self) -> list[tuple[str, str]]:
        """(payment, amount) of all that was confirmed."""
        return [
            (message["gateway_payment_id"], message["received"]["amount"])
            for message in await self.desk.messages()
            if "received" in message
        ]

    async def forgets(self) -> None:
        """The address is watched no more: its time is over."""
        past = datetime.now(UTC) - timedelta(days=1)
        await self.desk.owner.execute("UPDATE watched_addresses SET watch_until = $1", past)


def told_of(node: Anvil, token: str | None = None) -> dict[str, Any]:
    tokens = [{"network": "ethereum", "code": "TUSD", "contract": token, "decimals": 18}] if token else []
    return {"crypto_ethereum_rpc_url": node.url, "crypto_chain_ids": {"ethereum": 31337}, "crypto_tokens": tokens}


def deploy_forwarder(node: Anvil) -> str:
    """A contract that passes on what it is sent, as a shared wallet does."""
    sent = node.call("eth_sendTransaction", {"from": node.accounts()[0], "data": FORWARDER})
    return str(node.call("eth_getTransactionReceipt", sent)["contractAddress"])


def pay_from_within(node: Anvil, forwarder: str, to: str, wei: int) -> str:
    wish = {"from": node.accounts()[0], "to": forwarder, "value": hex(wei), "data": f"0x{int(to, 16):064x}"}
    return str(node.call("eth_sendTransaction", wish))


def refuse(monkeypatch: pytest.MonkeyPatch, *methods: str) -> None:
    """The node does not know these questions."""
    call = JsonRpc.call

    async def without(rpc: JsonRpc, method: str, *params: Any) -> Any:
        if method in methods:
            raise NodeRefused("ethereum", method, -32601, "the method does not exist")
        return await call(rpc, method, *params)

    monkeypatch.setattr(JsonRpc, "call", without)
