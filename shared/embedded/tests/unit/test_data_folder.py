"""One launcher to a folder; what it notes there is believed only while it holds the folder."""

import stat
from pathlib import Path

import pytest

from chassis.settings import SettingsError
from embedded.data_folder import LOCK_NAME, NOTE_NAME, StackNote, hold_folder, leave_note, read_note

NOTE = StackNote(1, True, {"ledger": 8002}, {"ledger": 77}, {"ledger": {"SERVICE_TOKEN": "of-the-test"}})


def test_a_folder_has_one_holder(tmp_path: Path) -> None:
    with (
        hold_folder(tmp_path / "data"),
        pytest.raises(SettingsError, match="another launcher"),
        hold_folder(tmp_path / "data"),
    ):
        pytest.fail("two launchers hold one folder")

    with hold_folder(tmp_path / "data"):
        assert (tmp_path / "data" / LOCK_NAME).exists()


def test_a_note_is_read_while_the_folder_is_held(tmp_path: Path) -> None:
    with hold_folder(tmp_path):
        assert read_note(tmp_path) is None
        leave_note(tmp_path, NOTE)
        assert read_note(tmp_path) == NOTE
        assert stat.S_IMODE((tmp_path / NOTE_NAME).stat().st_mode) == 0o600

    assert not (tmp_path / NOTE_NAME).exists()
    assert "of-the-test" not in repr(NOTE)


def test_the_note_of_a_launcher_that_was_killed_is_not_believed(tmp_path: Path) -> None:
    with hold_folder(tmp_path):
        pass
    leave_note(tmp_path, NOTE)

    assert read_note(tmp_path) is None
    assert read_note(tmp_path / "missing") is None
    with hold_folder(tmp_path):
        assert read_note(tmp_path) is None, "nor is it taken for the next one's"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match="DATA_DIR"), hold_folder(tmp_path / "file" / "data"):
        pytest.fail("a file is no folder")
