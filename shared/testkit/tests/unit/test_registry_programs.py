"""What cannot be had skips a test by name, and fails it in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from testkit import __main__ as fetching
from testkit import registry_programs
from testkit.choosing import CI_VARIABLE, CannotBeHad
from testkit.registry_programs import ProgramMissing, go_built, go_program, npm_package, skip_or_fail


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that has the programs of this folder and no others, and fetched nothing yet."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setattr(registry_programs, "CACHE", tmp_path / "programs")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(registry_programs.shutil, "which", lambda name: found(folder / name))
    return folder


def found(program: Path) -> str | None:
    return str(program) if program.exists() else None


def write(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_what_is_missing_is_named(tools: Path) -> None:
    with pytest.raises(ProgramMissing, match="no program npm"):
        npm_package("@some/thing", "1.0.0")
    with pytest.raises(ProgramMissing, match="no program go"):
        go_program("some.where/thing", "v1.0.0")


def test_what_could_not_be_fetched_says_why_and_leaves_nothing_behind(tools: Path) -> None:
    write(tools / "npm", "echo beginning >&2; echo no such version >&2; exit 1")

    with pytest.raises(ProgramMissing, match=r"thing-1\.0\.0 could not be fetched by npm: no such version"):
        npm_package("@some/thing", "1.0.0")
    assert list(registry_programs.CACHE.iterdir()) == []


def test_it_is_fetched_once(tools: Path, tmp_path: Path) -> None:
    write(tools / "go", f'echo built >> {tmp_path}/log; echo "$2" > "$GOBIN/thing"')

    for _ in range(2):
        assert go_program("some.where/thing", "v1.0.0").read_text() == "some.where/thing@v1.0.0\n"
    assert (tmp_path / "log").read_text() == "built\n"


def test_a_program_of_ours_is_built_once_and_again_when_it_changed(tools: Path, tmp_path: Path) -> None:
    write(tools / "go", f'echo built >> {tmp_path}/log; while [ "$1" != -o ]; do shift; done; echo ours > "$2"')
    source = tmp_path / "thing"
    source.mkdir()

    for version in ("1.24.0", "1.24.0", "1.25.0"):
        (source / "go.mod").write_text(f"go {version}\n")
        assert go_built(source).read_text() == "ours\n"
    assert (tmp_path / "log").read_text() == "built\nbuilt\n"


def test_somebody_who_was_faster_is_as_good(tools: Path) -> None:
    home = registry_programs.CACHE / "thing-v1.0.0"
    write(tools / "go", f"mkdir {home}; echo theirs > {home}/thing")

    assert go_program("some.where/thing", "v1.0.0").read_text() == "theirs\n"
    assert list(registry_programs.CACHE.iterdir()) == [home]


def test_elsewhere_it_skips_and_in_ci_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CI_VARIABLE, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no program go"):
        skip_or_fail(ProgramMissing("no program go"))
    monkeypatch.setenv(CI_VARIABLE, "true")
    with pytest.raises(CannotBeHad, match="no program go"):
        skip_or_fail(ProgramMissing("no program go"))


def test_the_command_says_what_is_here_and_what_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> Path:
        raise ProgramMissing("no program npm")

    monkeypatch.setattr(fetching, "PROGRAMS", {"a node": missing, "a mock": lambda: tmp_path})

    monkeypatch.delenv(CI_VARIABLE, raising=False)
    assert fetching.main() == 0
    monkeypatch.setenv(CI_VARIABLE, "true")
    assert fetching.main() == 1
    told = capsys.readouterr()
    assert told.out == "here: a mock\n" * 2
    assert told.err.splitlines()[0] == "missing: a node (no program npm); its tests are skipped, and in CI they fail"
