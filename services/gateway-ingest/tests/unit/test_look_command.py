"""What ``watch look`` takes: a hash of the network's kind, and an operator's word that could be true."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.errors import OperationalError
from gateway_ingest.application.looking import Done, Found, NotTold, Report
from gateway_ingest.domain import deposits as rules
from gateway_ingest.domain.deposits import Block, Transfer, Watched
from gateway_ingest.domain.facts import Amount
from gateway_ingest.entrypoints import look_command
from gateway_ingest.entrypoints.look_command import NotUsable, add_arguments, look

TX, BITCOIN_TX, ADDRESS = "0x" + "ab" * 32, "ab" * 32, "0x" + "AA" * 20


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("ethereum", "--tx", BITCOIN_TX), "--tx is no hash of a transaction on ethereum"),
        (("bitcoin", "--tx", TX), "--tx is no hash of a transaction on bitcoin"),
        (("ethereum", "--tx", TX, "--address", ADDRESS), "--address and --units are said together"),
        (("ethereum", "--tx", TX, "--units", "1"), "--address and --units are said together"),
        (("ethereum", "--tx", TX, "--address", "0xaa", "--units", "1"), "--address is no address"),
        (("ethereum", "--tx", TX, "--address", ADDRESS, "--units", "0"), "--units must be above 0"),
        (("ethereum", "--tx", TX, "--address", ADDRESS, "--units", "-1"), "--units must be above 0"),
        (("ethereum", "--tx", TX, "--address", ADDRESS, "--units", str(10**38)), "--units must be above 0"),
        (("bitcoin", "--tx", BITCOIN_TX, "--address", ADDRESS, "--units", "1"), "no coins come from within"),
        (("bitcoin", "--tx", BITCOIN_TX, "--block", "-1"), "--block must not be below 0"),
    ],
)
async def test_what_cannot_be_asked_is_one_line(given: tuple[str, ...], says: str) -> None:
    never_asked: Any = None
    with pytest.raises(NotUsable, match=says) as refused:
        await look(never_asked, arguments(*given))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given", [("dogecoin", "--tx", TX), ("ethereum",), ("ethereum", "--tx", TX, "--units", "1.5")])
def test_argparse_refuses_the_rest_with_2(given: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(*given)
    assert ended.value.code == 2


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["look", "--network", *given])


def report() -> Report:
    block = Block(7, "0xbb", "0xaa", datetime(2026, 1, 1, tzinfo=UTC))
    coins = Transfer(TX, "1", ADDRESS.lower(), Amount(1_500_000, "USDC", 6))
    seen = rules.mined(rules.seen("ethereum", coins, Watched(coins.key, "GL000000000000AM", 12)), block)
    return Report("ethereum", TX, block, 3, [Found(rules.at_height(seen, 9), Done.TOLD)])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("outcome", "code", "out", "err"),
    [
        (
            report(), 0,
            f"told  ethereum.{TX}.1  1.500000 USDC  unconfirmed, 3/12 blocks  for GL000000000000AM\n", "",
        ),
        (NotTold("it waits to be mined"), 1, "", "nothing is told: it waits to be mined\n"),
        (OperationalError("away"), 2, "", "error: away\n"),
        (NotUsable("--tx is no hash"), 2, "", "error: --tx is no hash\n"),
    ],
)  # fmt: skip
async def test_what_is_printed_and_the_exit_code(
    outcome: Report | Exception, code: int, out: str, err: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    async def looked(*_: Any) -> Report:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    class Settings:
        service, log_format = "gateway-ingest", "json"

    monkeypatch.setattr(look_command, "look", looked)
    monkeypatch.setattr(look_command, "load", lambda _: Settings)
    monkeypatch.setattr(look_command, "configure_logging", lambda *_, **__: None)
    assert await look_command.run(arguments("ethereum", "--tx", TX)) == code
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (out, err)


@pytest.mark.asyncio
async def test_a_bug_of_ours_is_none_of_the_node_s(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Report:
        raise ZeroDivisionError

    monkeypatch.setattr(look_command, "look", broken)
    monkeypatch.setattr(look_command, "load", lambda _: argparse.Namespace(service="x", log_format="json"))
    monkeypatch.setattr(look_command, "configure_logging", lambda *_, **__: None)
    with pytest.raises(ZeroDivisionError):
        await look_command.run(arguments("ethereum", "--tx", TX))
