"""A data folder keeps the bus that it was begun with: messages on their way in one would never come out of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.settings import SettingsError
from embedded.buses import kept_bus


@pytest.mark.parametrize(("wanted", "bus"), [(None, "postgresql"), ("postgresql", "postgresql"), ("kafka", "kafka")])
def test_a_new_folder_takes_what_is_wanted_and_remembers_it(tmp_path: Path, wanted: str | None, bus: str) -> None:
    assert kept_bus(tmp_path, wanted) == bus
    assert kept_bus(tmp_path, None) == bus
    assert kept_bus(tmp_path, bus) == bus


@pytest.mark.parametrize(("begun", "wanted"), [("postgresql", "kafka"), ("kafka", "postgresql")])
def test_another_bus_is_refused_in_one_line(tmp_path: Path, begun: str, wanted: str) -> None:
    kept_bus(tmp_path, begun)

    with pytest.raises(SettingsError, match=f"begun with BUS={begun}"):
        kept_bus(tmp_path, wanted)
    assert kept_bus(tmp_path, None) == begun


def test_a_folder_from_before_there_was_a_choice_has_its_bus_in_postgresql(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()

    with pytest.raises(SettingsError, match="BUS=postgresql"):
        kept_bus(tmp_path, "kafka")
    assert kept_bus(tmp_path, None) == "postgresql"
