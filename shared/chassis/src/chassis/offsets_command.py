"""``python -m <service> offsets list | reset | republish``: how far consumers and relays came, and to begin anew.

One command for all services: each keeps its own ``consumer_offsets`` and ``relay_positions``. Standard output is the
answer, a table or JSON; what went wrong stands on standard error. Exit codes: 0 done; 1 nothing was there to be set,
or the database is away; 2 wrong usage. All that touches rows is in ``chassis.offsets``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import asyncpg

from chassis import offsets
from chassis.offsets import ConsumerOffset, RelayPosition
from chassis.operators_command import answer_on_database, name_of_user, operator_name, table
from chassis.settings import ServiceSettings

NAME = "offsets"
DONE, NOT_FOUND = 0, 1
EARLIEST = "earliest"
_OFFSET_MAX = 2**63 - 1
_CONSUMERS = ("group", "topic", "next offset", "last handled", "owner", "claimed at")
_RELAYS = ("relay", "published up to", "moved at")


async def run_offsets(settings_cls: type[ServiceSettings], arguments: Sequence[str]) -> int:
    """Do what ``arguments`` (those after ``offsets``) say on the service's database; answers the exit code.

    Raises SettingsError when the service is not configured or its database cannot be used, SystemExit on wrong usage.
    """
    chosen = command_line(settings_cls.service).parse_args(arguments)
    return await answer_on_database(settings_cls, "the offsets", lambda pool: _ANSWERS[chosen.action](pool, chosen))


async def _list(pool: asyncpg.Pool[Any], chosen: argparse.Namespace) -> int:
    _print(chosen, await offsets.read_offsets(pool), await offsets.read_relays(pool))
    return DONE


async def _reset(pool: asyncpg.Pool[Any], chosen: argparse.Namespace) -> int:
    next_offset = None if chosen.to == EARLIEST else chosen.to
    done = await offsets.reset_offsets(
        pool,
        chosen.topic,
        partition=chosen.partition,
        group=chosen.group,
        next_offset=next_offset,
        by=f"operator {chosen.by}",
    )
    if not done:
        print(f"nothing of {chosen.topic} is consumed by what was named", file=sys.stderr)
        return NOT_FOUND
    _print(chosen, done, [])
    return DONE


async def _republish(pool: asyncpg.Pool[Any], chosen: argparse.Namespace) -> int:
    position = 0 if chosen.after == EARLIEST else chosen.after
    done = await offsets.set_relay_back(pool, chosen.relay, position)
    if done is None:
        print(f"there is no relay {chosen.relay}, or it has not published up to {position}", file=sys.stderr)
        return NOT_FOUND
    _print(chosen, [], [done])
    return DONE


_ANSWERS: Mapping[str, Callable[[asyncpg.Pool[Any], argparse.Namespace], Awaitable[int]]] = {
    "list": _list,
    "reset": _reset,
    "republish": _republish,
}


def command_line(service: str) -> argparse.ArgumentParser:
    """What may be typed after the service's name."""
    program = f"python -m {service.replace('-', '_')} {NAME}"
    parser = argparse.ArgumentParser(prog=program, description="How far consumers and relays came.")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="all places")
    reset = actions.add_parser(
        "reset", help="let consumers begin anew; those that run end, and are to be started again"
    )
    reset.add_argument("--topic", required=True)
    reset.add_argument("--partition", type=_number, help="only this one (default: all)")
    reset.add_argument("--group", help="only this one (default: all)")
    reset.add_argument("--to", type=_place, required=True, help=f"{EARLIEST}, or the offset to go on at")
    reset.add_argument(
        "--by", type=operator_name, default=name_of_user("somebody"), help="who does it, kept with it (default: $USER)"
    )
    republish = actions.add_parser("republish", help="publish again what a relay published before")
    republish.add_argument("--relay", required=True, help="its name, as list shows it")
    republish.add_argument("--after", type=_place, required=True, help=f"{EARLIEST}, or the position before the first")
    for action in (listing, reset, republish):
        action.add_argument("--json", action="store_true", help="for programs")
    return parser


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**31:
        raise argparse.ArgumentTypeError(f"{text} is no partition")
    return number


def _place(text: str) -> int | str:
    if text == EARLIEST:
        return text
    number = int(text)
    if not 0 <= number <= _OFFSET_MAX:
        raise argparse.ArgumentTypeError(f"{text} is no place")
    return number


def _print(chosen: argparse.Namespace, consumers: Sequence[ConsumerOffset], relays: Sequence[RelayPosition]) -> None:
    if chosen.json:
        found: list[ConsumerOffset | RelayPosition] = [*consumers, *relays]
        lines = [json.dumps(asdict(one), default=datetime.isoformat) for one in found]
    else:
        lines = table(_CONSUMERS, [_consumer(one) for one in consumers]) if consumers else []
        lines += table(_RELAYS, [_relay(one) for one in relays]) if relays else []
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _consumer(one: ConsumerOffset) -> tuple[str, ...]:
    place = EARLIEST if one.next_offset is None else str(one.next_offset)
    handled = "-" if one.last_record is None else _seconds(_time_of(one.last_record))
    return one.group, f"{one.topic}[{one.partition}]", place, handled, one.owner, _seconds(one.claimed_at)


def _relay(one: RelayPosition) -> tuple[str, ...]:
    return one.relay, str(one.position), _seconds(one.moved_at)


def _time_of(mark: str) -> datetime:
    """When the marked record was appended, by the bus's clock."""
    return datetime.fromtimestamp(int(mark.split("/")[1]) / 1000, UTC)


def _seconds(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
