"""Replicas of each service come and go under load, on a real Kafka: every promise is kept, and exactly once.

The load, the replicas and the judgement are those of ``bench/scale``, which ``--rehearsal`` runs with less of each.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 600
END_TIMEOUT_S = 60
SERVICES = ("gateway-ingest", "ledger", "deployments")

pytestmark = [pytest.mark.xdist_group("churn"), pytest.mark.timeout(TIMEOUT_S + 2 * END_TIMEOUT_S)]


def rehearsed() -> subprocess.CompletedProcess[str]:
    """``bench/scale`` as a process; should it hang, it is interrupted as by a person, so that it takes all along."""
    command = [sys.executable, str(ROOT / "bench" / "scale" / "run.py"), "--rehearsal", "--quiet"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            output, errors = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=END_TIMEOUT_S)
        finally:
            process.kill()
        return subprocess.CompletedProcess(command, process.returncode, output, errors)


def test_nothing_is_lost_or_doubled_while_replicas_come_and_go(plain_kafka: None) -> None:
    ended = rehearsed()
    assert ended.returncode == 0, ended.stderr
    seen: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])["churn"]

    assert seen["ended_by"] == {service: {"SIGTERM": 1, "SIGKILL": 1} for service in SERVICES}
    # Each was ended only after payments and purchases went through since the one before.
    assert min(seen["payments"], seen["purchases"]) >= seen["replicas_ended"] == 2 * len(SERVICES)
    assert (seen["lost"], seen["doubled"]) == (0, 0)
    assert {asset: Decimal(total) for asset, total in seen["trial_balance"].items()} == {"TFC/2": 0, "USD/2": 0}
