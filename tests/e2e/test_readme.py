"""What README tells a newcomer to type works as it stands there, but for the ports of the tests' own stack."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PORTS = {"payments-api": 8000, "gateway-ingest": 8001, "ledger": 8002, "deployments": 8003}
TOOLS = ("sh", "curl", "openssl", "sed", "date")
RUN_TIMEOUT_S = 180


def shell_blocks() -> list[str]:
    """README's blocks for the shell, but those that start a stack or run the tests: that is what we are in."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [block for block in blocks if not re.search(r"^(\w+=\S+ )*(make|docker compose) ", block, re.MULTILINE)]


def script_for(stack: Any) -> str:
    script = "\n".join(shell_blocks()).replace(".venv/bin/python", sys.executable)
    for process, port in DEFAULT_PORTS.items():
        script = script.replace(f"127.0.0.1:{port}", stack.url(process).removeprefix("http://"))
    # A newcomer takes longer to type the next line than the credits take to come.
    arrived = (
        f'until curl -sS {stack.url("payments-api")}/api/user/tfc-balance -H "Authorization: Bearer $token" '
        "| grep -q 25.00; do sleep 0.1; done\n"
    )
    return re.sub(r"(?m)^(curl .*tfc-balance)", lambda line: arrived + line[1], script, count=1)


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"README's commands need {', '.join(TOOLS)}")
def test_what_the_readme_says_can_be_typed(stack: Any) -> None:
    script = script_for(stack)
    assert script.count("curl") >= 5

    typed = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )

    assert typed.returncode == 0, typed.stdout + typed.stderr
    assert '{"success":true,"received":true}' in typed.stdout
    assert '"balance":25.00' in typed.stdout
    assert '"type":"DeploymentStarted"' in typed.stdout
    assert '"service_id":"web-server"' in typed.stdout
