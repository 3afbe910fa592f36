"""``python -m embedded kafka``: one Kafka in the foreground, its data in the data folder, for whoever wants just that.

It is the broker that a stack with BUS=kafka runs on the same folder, so only one of the two runs at a time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from chassis.settings import SettingsError
from embedded.buses import KafkaStackBus
from embedded.launcher import KAFKA_FOLDER, until_signal
from embedded.log_lines import LAUNCHER, LogLines
from embedded.programs import KAFKA
from embedded.stack_settings import read_settings

PORT = 9092
"""Kafka's own; KAFKA_PORT names another."""


class KafkaAlone:
    """See ``embedded.launcher.Running``."""

    def __init__(self, bus: KafkaStackBus) -> None:
        self._bus = bus
        self.address = ""

    async def start(self) -> None:
        """Start it and wait until it answers. Raises SettingsError with one line."""
        await self._bus.find()
        self.address = await self._bus.start()

    async def run(self) -> None:
        """Keep it running until cancelled."""
        await self._bus.run()

    async def stop(self) -> None:
        """End it in order."""
        await self._bus.stop()

    async def insist(self) -> None:
        """Nothing more to do: stopping kills by itself after two seconds."""


async def run_kafka() -> int:
    """Run Kafka in the foreground until a signal comes; answers the exit code. Raises SettingsError."""
    settings = read_settings(os.environ, Path.cwd())
    folder = settings.data_dir / KAFKA_FOLDER
    log = LogLines(sys.stdout, (KAFKA, LAUNCHER))
    kafka = KafkaAlone(KafkaStackBus(folder, settings.kafka_port or PORT, settings.environment, log))
    return await until_signal(kafka, log, lambda: _welcome(kafka.address))


def _welcome(address: str) -> None:
    lines = (
        "",
        f"Kafka is running on {address.removeprefix('kafka://')}. Ctrl-C stops it; its data stays.",
        f"  its topics    BUS_URL={address} .venv/bin/python -m chassis.topics",
        f"  a service     BUS_URL={address} in its environment",
        f"  tests         TEST_KAFKA_BOOTSTRAP={address.removeprefix('kafka://')} make test",
        "",
    )
    try:
        print("\n".join(lines), flush=True)
    except OSError as error:
        raise SettingsError(f"standard output is gone: {error.strerror}") from error
