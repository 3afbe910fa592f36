"""``python -m gateway_ingest watch look``: one transaction, looked at because its coins were not seen, for an operator.

Exit codes: 0 all that it brought us is told, now or before; 1 there is nothing to tell, or not yet; 2 asked for
wrongly, or something was away: then nothing is known. With 1 and 2 one line on standard error says why.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any

import msgspec

from chassis.bus.retry import passes
from chassis.logging import configure_logging
from chassis.settings import SettingsError, load
from contracts.amounts import format_units
from gateway_ingest.application.looking import Found, NotTold, Report, Stated
from gateway_ingest.bootstrap.looking import looking
from gateway_ingest.domain.deposits import UNITS_MAX
from gateway_ingest.domain.networks import NETWORKS
from gateway_ingest.settings import IngestSettings

ALL_TOLD, NOTHING_TOLD, UNKNOWN = 0, 1, 2
_HASHES = {"bitcoin": re.compile(r"[0-9a-f]{64}"), "evm": re.compile(r"0x[0-9a-f]{64}")}
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")


class NotUsable(Exception):
    """The command was asked for wrongly. The text is one line."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``run`` reads."""
    look = parser.add_subparsers(dest="action", required=True).add_parser(
        "look", help="tell what one transaction brought to addresses of ours, if nobody told it yet"
    )
    look.add_argument("--network", required=True, choices=sorted(NETWORKS))
    look.add_argument("--tx", required=True, metavar="HASH")
    look.add_argument(
        "--block", type=int, metavar="N", help="its block, for a Bitcoin node that keeps no index of transactions"
    )
    look.add_argument(
        "--address", metavar="A", help="where a contract sent the network's own coin to from within the transaction"
    )
    look.add_argument(
        "--units", type=int, metavar="U", help="how many smallest units that were: for nodes that cannot trace"
    )
    look.add_argument("--json", action="store_true", help="one JSON document instead of lines")


async def run(arguments: argparse.Namespace) -> int:
    """Do it, and answer the exit code."""
    try:
        settings = load(IngestSettings)
        # Log lines would stand in what is printed for programs.
        configure_logging(settings.service, settings.log_format, stream=sys.stderr)
        report = await look(settings, arguments)
    except NotTold as nothing:
        print(f"nothing is told: {nothing}", file=sys.stderr)
        return NOTHING_TOLD
    except Exception as error:
        if not isinstance(error, NotUsable | SettingsError) and not passes(error):
            raise
        print(f"error: {error}", file=sys.stderr)
        return UNKNOWN
    _print(report, as_json=arguments.json)
    return ALL_TOLD


async def look(settings: IngestSettings, arguments: argparse.Namespace) -> Report:
    """What was found, and told. Raises NotUsable, NotTold, SettingsError, and what passes."""
    tx, stated = _hash(arguments), _stated(arguments)
    if arguments.block is not None and arguments.block < 0:
        raise NotUsable("--block must not be below 0")
    async with looking(settings, arguments.network) as looks:
        return await looks.look(tx, arguments.block, stated)


def _hash(arguments: argparse.Namespace) -> str:
    text: str = arguments.tx.lower()
    if _HASHES[NETWORKS[arguments.network].family].fullmatch(text) is None:
        raise NotUsable(f"--tx is no hash of a transaction on {arguments.network}")
    return text


def _stated(arguments: argparse.Namespace) -> Stated | None:
    if arguments.address is None and arguments.units is None:
        return None
    if arguments.address is None or arguments.units is None:
        raise NotUsable("--address and --units are said together")
    if NETWORKS[arguments.network].family != "evm":
        raise NotUsable(f"on {arguments.network} no coins come from within")
    if _ADDRESS.fullmatch(arguments.address.lower()) is None:
        raise NotUsable("--address is no address of twenty bytes")
    if not 0 < arguments.units < UNITS_MAX:
        raise NotUsable("--units must be above 0, in the smallest unit")
    return Stated(arguments.address.lower(), arguments.units)


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        document = {
            "network": report.network,
            "tx": report.tx,
            "block": report.block.number,
            "confirmations": report.confirmations,
            "found": [_row(found) for found in report.found],
        }
        print(msgspec.json.encode(document).decode())
        return
    for found in report.found:
        row = _row(found)
        blocks = f"{min(report.confirmations, row['required'])}/{row['required']} blocks"
        coins = f"{row['amount']} {row['asset'].partition('/')[0]}"
        print(f"{row['done']}  {row['payment_id']}  {coins}  {row['state']}, {blocks}  for {row['reference']}")


def _row(found: Found) -> dict[str, Any]:
    deposit = found.deposit
    return {
        "payment_id": deposit.payment_id,
        "to": deposit.key,
        "amount": format_units(deposit.amount.units, deposit.amount.asset),
        "asset": deposit.amount.asset,
        "reference": deposit.reference,
        "state": deposit.state.value,
        "required": deposit.required,
        "done": found.done.value,
    }
