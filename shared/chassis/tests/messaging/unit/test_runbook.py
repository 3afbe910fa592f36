"""The runbook that a consumer names when it does not find its place: it is there, and its commands are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from chassis.consumer.places import RUNBOOK
from chassis.offsets_command import command_line
from contracts.topics import DEAD_LETTER_SUFFIX, PARTITIONS

TEXT = (Path(__file__).resolve().parents[5] / RUNBOOK).read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ *python -m \w+ offsets (.+)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_understood(command: str) -> None:
    assert command_line("service").parse_args(shlex.split(command)).action == command.split()[0]


def test_it_shows_every_action() -> None:
    assert {command.split()[0] for command in COMMANDS} == {"list", "reset", "republish"}


def test_it_says_who_publishes_each_topic() -> None:
    named = re.findall(r"^ *\| `([a-z-]+)` \| .*relay `", TEXT, re.MULTILINE)
    assert set(named) == {topic for topic in PARTITIONS if not topic.endswith(DEAD_LETTER_SUFFIX)}
