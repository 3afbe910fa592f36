"""``python -m <service> dead-letters list | show | redrive | discard``: what an operator does about dead letters.

One command for all services: each keeps its own ``dead_letters``. Standard output is the answer, a table or JSON;
what went wrong stands on standard error. Exit codes: 0 done; 1 something asked for was not there (or no longer
parked, or cannot be sent), or the database is away; 2 wrong usage. All that touches rows is in
``chassis.dead_letters``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import asyncpg

from chassis import dead_letters
from chassis.bus.port import RecordTooLarge
from chassis.dead_letters import LIST_MAX, DeadLetter
from chassis.operators_command import answer_on_database, name_of_user, operator_name, table
from chassis.settings import ServiceSettings

NAME = "dead-letters"
DONE, NOT_FOUND = 0, 1
LISTED_DEFAULT = 50
DETAIL_MAX_SHOWN_CHARS = 80
SETTLED_AT_ONCE_MAX = 50
"""A transaction holds the outbox lane and every record it sends again: a megabyte each, at worst."""
_ID_MAX = 2**63 - 1
_STATUSES = ("parked", "redriven", "discarded")
_HEADINGS = ("id", "parked at", "group", "from", "type", "reason", "status", "detail")


@dataclass
class Outcome:
    """What became of those asked for, by id. A record that is full to its limit has no room for a redrive's header."""

    settled: list[int] = field(default_factory=list)
    not_parked: list[int] = field(default_factory=list)
    too_large: list[int] = field(default_factory=list)


Settle = Callable[..., Awaitable[Sequence[int]]]
_SETTLING: Mapping[str, Settle] = {"redrive": dead_letters.redrive, "discard": dead_letters.discard}


async def run_dead_letters(settings_cls: type[ServiceSettings], arguments: Sequence[str]) -> int:
    """Do what ``arguments`` (those after ``dead-letters``) say on the service's database; answers the exit code.

    Raises SettingsError when the service is not configured or its database cannot be used, SystemExit on wrong usage.
    """
    chosen = _chosen(settings_cls.service, arguments)
    return await answer_on_database(
        settings_cls, "the dead letters", lambda pool: _ANSWERS[chosen.action](pool, chosen)
    )


async def _list(pool: asyncpg.Pool[Any], chosen: argparse.Namespace) -> int:
    status = None if chosen.status == "all" else chosen.status
    letters = await dead_letters.list_parked(pool, after=chosen.after, limit=chosen.limit, status=status)
    lines = [json.dumps(_summary(letter)) for letter in letters] if chosen.json else _table(letters)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    if len(letters) == chosen.limit:
        print(f"there may be more: list --after {letters[-1].id}", file=sys.stderr)
    return DONE


async def _show(pool: asyncpg.Pool[Any], chosen: argparse.Namespace) -> int:
    letter = await dead_letters.read(pool, chosen.id)
    if letter is None:
        print(f"there is no dead letter {chosen.id}", file=sys.stderr)
        return NOT_FOUND
    print(json.dumps(_whole(letter), indent=None if chosen.json else 2))
    return DONE


async def _settle(pool: asyncpg.Pool[Any], chosen: argparse.Namespace) -> int:
    """Redrive or discard: those named, or all that are parked now."""
    ids = sorted(set(chosen.id))
    asked = ids or await _all_parked(pool, chosen.reason)
    done = Outcome()
    for start in range(0, len(asked), SETTLED_AT_ONCE_MAX):
        await _settle_some(pool, chosen, asked[start : start + SETTLED_AT_ONCE_MAX], done)
    # Whoever asked for all wanted those that were still there; another operator may have been faster.
    done.not_parked = [one for one in ids if one not in {*done.settled, *done.too_large}]
    _print_settled(chosen, done)
    return NOT_FOUND if done.not_parked or done.too_large else DONE


async def _settle_some(pool: asyncpg.Pool[Any], chosen: argparse.Namespace, ids: Sequence[int], done: Outcome) -> None:
    """In one transaction; one by one where one of them stands in the way of the others."""
    try:
        async with pool.acquire() as conn, conn.transaction():
            settled = await _SETTLING[chosen.action](conn, ids, by=chosen.by)
    except RecordTooLarge:
        if len(ids) == 1:
            done.too_large += ids
            return
        for one in ids:
            await _settle_some(pool, chosen, [one], done)
        return
    done.settled += settled


async def _all_parked(pool: asyncpg.Pool[Any], reason: str | None) -> list[int]:
    """Ids of what is parked at this moment: what is parked anew while we redrive has an id of its own, and waits."""
    found: list[int] = []
    after = 0
    while letters := await dead_letters.list_parked(pool, after=after, limit=SETTLED_AT_ONCE_MAX):
        found += [letter.id for letter in letters if reason in (None, letter.reason)]
        after = letters[-1].id
    return found


def _print_settled(chosen: argparse.Namespace, done: Outcome) -> None:
    if chosen.json:
        print(json.dumps({"command": chosen.action, **asdict(done)}))
        return
    print(f"{chosen.action}: {len(done.settled)} done{''.join(f' {one}' for one in done.settled)}")
    for one in done.not_parked:
        print(f"{one} is not parked", file=sys.stderr)
    for one in done.too_large:
        print(f"{one} is too large to be sent again, and stays parked", file=sys.stderr)


_ANSWERS: Mapping[str, Callable[[asyncpg.Pool[Any], argparse.Namespace], Awaitable[int]]] = {
    "list": _list,
    "show": _show,
    "redrive": _settle,
    "discard": _settle,
}


def _chosen(service: str, arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser(service)
    chosen = parser.parse_args(arguments)
    if chosen.action == "redrive" and chosen.reason and not chosen.all:
        parser.error("--reason goes with --all")
    return chosen


def _parser(service: str) -> argparse.ArgumentParser:
    program = f"python -m {service.replace('-', '_')} {NAME}"
    parser = argparse.ArgumentParser(prog=program, description="Messages that were given up on.")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="by id, without their content")
    listing.add_argument("--status", choices=[*_STATUSES, "all"], default="parked")
    listing.add_argument("--after", type=_id, default=0, help="only those after this id")
    listing.add_argument("--limit", type=_limit, default=LISTED_DEFAULT, help=f"1 to {LIST_MAX}")
    show = actions.add_parser("show", help="one with its content, which may hold personal data")
    show.add_argument("id", type=_id)
    redrive = actions.add_parser("redrive", help="send parked ones again, for the group that parked them")
    discard = actions.add_parser("discard", help="give parked ones up for good; they stay readable")
    for settling in (redrive, discard):
        settling.add_argument(
            "--by",
            type=operator_name,
            default=name_of_user("operator"),
            help="who does it, kept with it (default: $USER)",
        )
    redrive.add_argument("--reason", help="with --all: only those parked for this reason")
    which = redrive.add_mutually_exclusive_group(required=True)
    which.add_argument("id", type=_id, nargs="*", default=[])
    which.add_argument("--all", action="store_true", help="all that are parked")
    discard.add_argument("id", type=_id, nargs="+")
    for action in (listing, show, redrive, discard):
        action.add_argument("--json", action="store_true", help="for programs")
    return parser


def _id(text: str) -> int:
    number = int(text)
    if not 0 <= number <= _ID_MAX:
        raise argparse.ArgumentTypeError(f"{text} is no id")
    return number


def _limit(text: str) -> int:
    number = int(text)
    if not 1 <= number <= LIST_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {LIST_MAX}")
    return number


def _summary(letter: DeadLetter) -> dict[str, Any]:
    """All but the content."""
    record = letter.record
    return {
        "id": letter.id,
        "status": letter.status,
        "group": letter.consumer_group,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "message_id": letter.message_id,
        "message_type": letter.message_type,
        "reason": letter.reason,
        "detail": letter.detail,
        "parked_at": letter.parked_at.isoformat(),
        "settled_at": letter.settled_at.isoformat() if letter.settled_at else None,
        "settled_by": letter.settled_by,
    }


def _whole(letter: DeadLetter) -> dict[str, Any]:
    """With key, headers and value, as text: bytes that are none are shown as escapes."""
    record = letter.record
    headers = [[name, _text(value)] for name, value in record.headers]
    return {**_summary(letter), "key": _text(record.key), "headers": headers, "value": _text(record.value)}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _table(letters: Sequence[DeadLetter]) -> list[str]:
    if not letters:
        return ["there are none"]
    return table(_HEADINGS, [_row(letter) for letter in letters])


def _row(letter: DeadLetter) -> tuple[str, ...]:
    record = letter.record
    cells = (
        str(letter.id),
        f"{letter.parked_at:%Y-%m-%d %H:%M:%S}",
        letter.consumer_group,
        f"{record.topic}/{record.partition}/{record.offset}",
        letter.message_type or "-",
        letter.reason,
        letter.status,
        letter.detail[:DETAIL_MAX_SHOWN_CHARS],
    )
    return tuple(_on_one_line(cell) for cell in cells)


def _on_one_line(text: str) -> str:
    """What came from outside must neither break the table nor speak to the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)
