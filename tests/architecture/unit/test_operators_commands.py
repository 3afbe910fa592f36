"""Every service has the operators' commands of the chassis, under the same names."""

from __future__ import annotations

import importlib
import sys

import pytest

from chassis.dead_letters_command import NAME as DEAD_LETTERS
from chassis.offsets_command import NAME as OFFSETS

SERVICES = ("deployments", "gateway_ingest", "ledger", "payments_api")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("name", "action"), [(DEAD_LETTERS, "redrive"), (OFFSETS, "republish")])
def test_the_command_is_understood(
    service: str, name: str, action: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"{service}.__main__")
    monkeypatch.setattr(sys, "argv", [service, name, "--help"])
    asked = module._command() if service == "gateway_ingest" else module.command(sys.argv[1:])
    with pytest.raises(SystemExit) as ended:
        asked.send(None)
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert f"python -m {service} {name}" in printed
    assert action in printed
