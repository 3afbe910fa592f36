"""``python -m chassis.topics`` waits for the bus, makes what is missing, and says in one line what it cannot do."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from chassis.bus import open_bus
from contracts.topics import PARTITIONS, PAYMENTS
from testkit.kafka import KafkaFactory

COMMAND_TIMEOUT_S = 60.0


def topics_command(bus_url: str, timeout_s: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "chassis.topics", "--timeout-s", str(timeout_s)],
        env={**os.environ, "BUS_URL": bus_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(command: subprocess.Popen[str]) -> tuple[int, list[str], list[str]]:
    printed, complained = command.communicate(timeout=COMMAND_TIMEOUT_S)
    return command.returncode, printed.splitlines(), complained.splitlines()


async def started_and_sent_away(bus_url: str) -> subprocess.Popen[str]:
    """The command after it knocked where no Kafka is yet."""
    knocked = asyncio.Event()

    async def send_away(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        knocked.set()

    host, _, port = bus_url.removeprefix("kafka://").partition(":")
    async with await asyncio.start_server(send_away, host, int(port), reuse_address=True):
        command = topics_command(bus_url, COMMAND_TIMEOUT_S)
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            await knocked.wait()
    return command


@pytest.mark.asyncio
async def test_it_waits_for_a_bus_that_is_still_starting(make_kafka: KafkaFactory) -> None:
    kafka = await asyncio.to_thread(make_kafka)
    await asyncio.to_thread(kafka.stop)

    command = await started_and_sent_away(kafka.url)
    await asyncio.to_thread(kafka.start)

    code, printed, complained = await asyncio.to_thread(outcome, command)
    assert (code, has_one_replica(complained)) == (0, [])
    assert [line.partition(":")[0] for line in printed] == list(PARTITIONS)
    assert await asyncio.to_thread(outcome, topics_command(kafka.url, 5)) == (0, printed, []), "once more is fine"


@pytest.mark.asyncio
async def test_another_number_of_partitions_is_refused(make_kafka: KafkaFactory) -> None:
    kafka = await asyncio.to_thread(make_kafka)
    bus = await open_bus(kafka.url)
    await bus.ensure_topics({PAYMENTS: 3})
    await bus.close()

    code, printed, complained = await asyncio.to_thread(outcome, topics_command(kafka.url, 5))

    assert (code, printed) == (1, [])
    assert has_one_replica(complained) == ["error: payments has 3 partitions, not 12"]


def has_one_replica(complained: list[str]) -> list[str]:
    """What is said beside the warning that these topics, of a single broker, are not replicated."""
    assert "topics_with_few_replicas" in complained[0]
    return complained[1:]


@pytest.mark.parametrize(
    ("bus_url", "reason"),
    [
        ("", "BUS_URL is not set"),
        ("carrier-pigeon://x", "BUS_URL must begin with"),
        ("kafka://127.0.0.1:1", "BUS_URL: the bus did not answer within 0.5 s"),
    ],
)
def test_what_is_wrong_is_one_line(bus_url: str, reason: str) -> None:
    code, printed, complained = outcome(topics_command(bus_url, 0.5))

    assert (code, printed, len(complained)) == (1, [], 1)
    assert complained[0].startswith(f"error: {reason}")
