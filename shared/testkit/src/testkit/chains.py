"""Real nodes of chains for a test: anvil (an Ethereum node) and btcd (a Bitcoin node), alone on the loopback address.

Their programs come by testkit.registry_programs. Never used by the product.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from embedded.ports import free_port
from testkit.registry_programs import ProgramMissing, go_program, npm_package

ANVIL, ANVIL_VERSION = "@foundry-rs/anvil", "1.7.1"
CONTRACTS, CONTRACTS_VERSION = "@openzeppelin/contracts", "4.9.6"
BTCD, BTCD_VERSION = "github.com/btcsuite/btcd", "v0.26.2"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
CALL_TIMEOUT_S = 60.0
POLL_S = 0.05
BITCOIN_USER, BITCOIN_PASSWORD = "test", "test-only"
TOKEN_UNITS = 10**30


@dataclass(frozen=True, slots=True)
class RunningNode:
    """A node that answers JSON-RPC at ``url``."""

    url: str

    def call(self, method: str, *params: Any) -> Any:
        """The result. Raises AssertionError with the node's words when it refuses."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        with httpx.Client(trust_env=False, timeout=CALL_TIMEOUT_S) as http:
            answer = json.loads(http.post(self.url, json=request).content, parse_float=Decimal)
        assert answer.get("error") is None, f"{method}: {answer['error']}"
        return answer["result"]


@dataclass(frozen=True, slots=True)
class Anvil(RunningNode):
    """An Ethereum node whose first accounts are rich and sign for whoever asks. A block per transaction."""

    def accounts(self) -> Sequence[str]:
        """Addresses that can pay."""
        found: Sequence[str] = self.call("eth_accounts")
        return found

    def pay(self, to: str, wei: int) -> str:
        """Send the network's own coin; answers the transaction."""
        return self._send({"to": to, "value": hex(wei)})

    def deploy_token(self) -> str:
        """A real ERC-20 of 18 decimals, all of it the first account's; answers its contract."""
        artefact = json.loads(token_artefact().read_bytes())
        arguments = _encoded("Test Dollar", "TUSD", TOKEN_UNITS, self.accounts()[0])
        receipt = self.call("eth_getTransactionReceipt", self._send({"data": artefact["bytecode"] + arguments}))
        assert receipt["status"] == "0x1"
        return str(receipt["contractAddress"])

    def pay_token(self, contract: str, to: str, units: int) -> str:
        """Transfer a token; answers the transaction."""
        return self._send({"to": contract, "data": f"0xa9059cbb{int(to, 16):064x}{units:064x}"})

    def mine(self, blocks: int = 1) -> None:
        """Empty blocks."""
        self.call("anvil_mine", hex(blocks))

    def fork(self, depth: int) -> None:
        """Replace the last ``depth`` blocks by empty ones."""
        self.call("anvil_reorg", depth, [])

    def _send(self, transaction: Mapping[str, str]) -> str:
        return str(self.call("eth_sendTransaction", {"from": self.accounts()[0], **transaction}))


_TOKEN_ARTEFACT = Path("build/contracts/ERC20PresetFixedSupply.json")


@dataclass(frozen=True, slots=True)
class Btcd(RunningNode):
    """A Bitcoin node of the regtest network that mines for the address it was started with."""

    def mine(self, blocks: int = 1) -> Sequence[str]:
        """Blocks with all that waits; answers their hashes."""
        found: Sequence[str] = self.call("generate", blocks)
        return found

    def fork(self, first_lost: str) -> None:
        """Give up this block and all after it."""
        self.call("invalidateblock", first_lost)


def anvil_program() -> Path:
    """Of an Ethereum node, which its package has for several machines. Raises ProgramMissing."""
    packages = npm_package(ANVIL, ANVIL_VERSION).parent
    program = next(iter(sorted(packages.glob("anvil-*/bin/anvil"))), None)
    if program is None:
        raise ProgramMissing(f"{ANVIL} {ANVIL_VERSION} has no program for this machine")
    return program


def btcd_program() -> Path:
    """Of a Bitcoin node. Raises ProgramMissing."""
    return go_program(BTCD, BTCD_VERSION)


def token_artefact() -> Path:
    """The compiled contract of an ERC-20 whose whole supply is made at once. Raises ProgramMissing."""
    return npm_package(CONTRACTS, CONTRACTS_VERSION) / _TOKEN_ARTEFACT


@contextmanager
def anvil(chain_id: int = 1) -> Iterator[Anvil]:
    """A fresh Ethereum node. Raises ProgramMissing."""
    program, port = anvil_program(), free_port()
    arguments = [str(program), "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain_id), "--silent"]
    node = Anvil(f"http://127.0.0.1:{port}")
    with _running(arguments, node, "eth_chainId"):
        yield node


@contextmanager
def btcd(mining_address: str) -> Iterator[Btcd]:
    """A fresh Bitcoin node. Raises ProgramMissing."""
    program, port = btcd_program(), free_port()
    node = Btcd(f"http://{BITCOIN_USER}:{BITCOIN_PASSWORD}@127.0.0.1:{port}")
    arguments = [
        str(program), "--regtest", "--notls", "--nolisten", "--nodnsseed", f"--rpclisten=127.0.0.1:{port}",
        f"--rpcuser={BITCOIN_USER}", f"--rpcpass={BITCOIN_PASSWORD}", f"--miningaddr={mining_address}",
    ]  # fmt: skip
    with _running(arguments, node, "getblockcount"):
        yield node


@contextmanager
def _running(arguments: Sequence[str], node: RunningNode, question: str) -> Iterator[None]:
    """The process, at home in a folder that goes with it, from its first answer on."""
    home = tempfile.mkdtemp(prefix="gridledger-node-")
    environment = {"HOME": home, "PATH": os.environ.get("PATH", ""), "TMPDIR": home}
    process = subprocess.Popen(  # noqa: S603 - a pinned program
        arguments, cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(process, node, question)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(home, ignore_errors=True)


def _wait_for(process: subprocess.Popen[bytes], node: RunningNode, question: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            node.call(question)
        except (httpx.TransportError, ValueError) as not_yet:
            if process.poll() is not None:
                raise ProgramMissing(f"a node ended at once, with code {process.returncode}") from not_yet
            if time.monotonic() > deadline:
                raise ProgramMissing(f"a node did not answer within {START_TIMEOUT_S} s") from not_yet
            time.sleep(POLL_S)
        else:
            return


def _encoded(name: str, symbol: str, units: int, owner: str) -> str:
    """The constructor's arguments (string, string, uint256, address) in Ethereum's words of 32 bytes."""
    heads = [4 * 32, 6 * 32, units, int(owner, 16)]
    tails = [f"{len(text):064x}{text.encode().hex():0<64}" for text in (name, symbol)]
    return "".join(f"{word:064x}" for word in heads) + "".join(tails)
