"""A node that cannot be had skips a test by name, and fails it in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from testkit import chains
from testkit.chains import NodeMissing, anvil, btcd, skip_or_fail
from testkit.choosing import CI_VARIABLE, CannotBeHad

ADDRESS = "mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY8"


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(chains, "CACHE", tmp_path / "nodes")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NodeMissing, match="no program npm"), anvil():
        raise AssertionError("there is no node")
    with pytest.raises(NodeMissing, match="no program go"), btcd(ADDRESS):
        raise AssertionError("there is no node")


def test_what_could_not_be_fetched_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "npm").write_text("#!/bin/sh\nexit 1\n")
    (tools / "npm").chmod(0o755)
    monkeypatch.setattr(chains, "CACHE", tmp_path / "nodes")
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(NodeMissing, match="could not be fetched by npm"), anvil():
        raise AssertionError("there is no node")
    assert list((tmp_path / "nodes").iterdir()) == []


def test_elsewhere_it_skips_and_in_ci_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CI_VARIABLE, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no program go"):
        skip_or_fail(NodeMissing("no program go"))
    monkeypatch.setenv(CI_VARIABLE, "true")
    with pytest.raises(CannotBeHad, match="no program go"):
        skip_or_fail(NodeMissing("no program go"))
