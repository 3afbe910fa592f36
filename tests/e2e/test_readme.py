"""The commands of the README's first webhook do what it says, word for word but for the ports."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from testkit.waiting_for import eventually

README = Path(__file__).resolve().parents[2] / "README.md"
SECTION = "## The first webhook"
PORTS = {"8000": "payments-api", "8001": "gateway-ingest"}


def blocks() -> list[str]:
    """The shell blocks of the section, without the one that starts the stack."""
    section = README.read_text().split(SECTION)[1].split("\n## ")[0]
    found = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [block for block in found if "make run" not in block]


def run(stack: Any, script: str) -> list[str]:
    """Run it as a newcomer would, on this stack's ports; answers what it printed."""
    for port, process in PORTS.items():
        script = script.replace(f"http://127.0.0.1:{port}", stack.url(process))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=stack.environment,
        cwd=README.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in re.split(r"\n|(?<=})(?={)", done.stdout) if line]


@pytest.mark.asyncio
async def test_the_first_webhook_of_the_readme_works(stack: Any) -> None:
    send, spend, prove = blocks()
    assert json.loads(run(stack, send)[0])["success"] is True

    balance = spend.splitlines()[:2]

    async def is_credited() -> bool:
        return json.loads(run(stack, "\n".join(balance))[0])["balance"] == 25

    await eventually(is_credited)
    bought = [json.loads(line) for line in run(stack, spend)]
    assert bought[1]["action"]["type"] == "DeploymentStarted"
    assert bought[2]["deployments"][0]["service_id"] == "web-server"
    assert [line.split(", ")[1] for line in run(stack, prove) if "faults" in line] == ["0 faults", "0 faults"]
