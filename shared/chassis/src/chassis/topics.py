"""``python -m chassis.topics [--timeout-s 60]``: makes the topics of ``contracts.topics`` on the bus of BUS_URL.

Waits for the bus. What exists already is left as it is; with another number of partitions it is an error, since
changing that would move keys. Prints one line per topic, or one line that says what is wrong; warns of topics with less
than three replicas.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence

import structlog

from chassis.bus import open_bus
from chassis.bus.port import PartitionCountMismatch
from chassis.bus.retry import Backoff
from chassis.errors import OperationalError
from chassis.settings import SettingsError
from contracts.topics import PARTITIONS

TIMEOUT_S = 60.0
EXIT_FAILED = 1


async def make_topics(bus_url: str, topics: Mapping[str, int] = PARTITIONS, *, timeout_s: float = 0.0) -> None:
    """Make what is missing of ``topics``; a bus that is away is asked again until ``timeout_s`` have passed.

    Raises OperationalError when it stays away, PartitionCountMismatch, SettingsError.
    """
    loop, backoff = asyncio.get_running_loop(), Backoff()
    deadline = loop.time() + timeout_s
    while True:
        try:
            return await _make(bus_url, topics)
        except OperationalError:
            remaining_s = deadline - loop.time()
            if remaining_s <= 0:
                raise
            await asyncio.sleep(min(backoff.next_s(), remaining_s))


async def _make(bus_url: str, topics: Mapping[str, int]) -> None:
    bus = await open_bus(bus_url)
    try:
        await bus.ensure_topics(topics)
    finally:
        await bus.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m chassis.topics", description="Makes the topics on BUS_URL.")
    parser.add_argument("--timeout-s", type=float, default=TIMEOUT_S, help="how long to wait for the bus")
    timeout_s = parser.parse_args(arguments).timeout_s
    # Its client tells of every attempt; only the last one matters here.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    bus_url = os.environ.get("BUS_URL")
    if not bus_url:
        return _refuse("BUS_URL is not set")
    try:
        asyncio.run(make_topics(bus_url, timeout_s=timeout_s))
    except (SettingsError, PartitionCountMismatch) as error:
        return _refuse(str(error))
    except OperationalError as error:
        return _refuse(f"BUS_URL: the bus did not answer within {timeout_s:g} s: {error.reason}")
    for topic, partitions in PARTITIONS.items():
        print(f"{topic}: {partitions} partition{'' if partitions == 1 else 's'}")
    return 0


def _refuse(reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
