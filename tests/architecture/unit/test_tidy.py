"""The tree is tidy: sizes, names, dead modules, things that must never be committed. A ratchet: numbers only fall."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FILE_MAX_LINES = 400
FUNCTION_MAX_LINES = 70
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers"}
# Built from pieces, so that this file does not name them itself.
REGISTRY_HOSTS = [
    "py" + "pi.org",
    "python" + "hosted",
    "registry.npm" + "js",
    "npm" + "js.com",
    "deb." + "debian",
    "repo1.ma" + "ven",
    "proxy.go" + "lang",
    "crates" + ".io",
]
MACHINE_PATHS = re.compile("/(wo" + "rk|fa" + "rm)/")
README_HEADINGS = ["## Run it", "## The first webhook", "## Where things are"]


@cache
def tracked() -> tuple[Path, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return tuple(ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file())


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def shipped_files() -> list[Path]:
    return [path for path in python_files() if "src" in path.relative_to(ROOT).parts]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_look_at() -> None:
    assert len(shipped_files()) > 100


def test_files_fit_into_a_head() -> None:
    long = {name_of(path): lines for path in python_files() if (lines := len(path.read_text().splitlines())) > 0}
    assert {name: lines for name, lines in long.items() if lines > FILE_MAX_LINES} == {}


def test_functions_fit_onto_a_screen() -> None:
    long = [
        f"{name_of(path)}:{function.lineno} {function.name}"
        for path in python_files()
        for function in functions(ast.parse(path.read_text()))
        if function.end_lineno is not None and function.end_lineno - function.lineno >= FUNCTION_MAX_LINES
    ]
    assert long == []


def test_names_explain_themselves() -> None:
    parts = {part for path in shipped_files() for part in (*path.relative_to(ROOT).parts[:-1], path.stem)}
    assert parts & BANNED_NAMES == set()


def test_every_module_says_what_it_is() -> None:
    silent = [name_of(path) for path in shipped_files() if ast.get_docstring(ast.parse(path.read_text())) is None]
    assert silent == []


def test_no_error_is_swallowed() -> None:
    swallowed = [
        f"{name_of(path)}:{handler.lineno}"
        for path in python_files()
        for handler in ast.walk(ast.parse(path.read_text()))
        if isinstance(handler, ast.ExceptHandler) and all(isinstance(step, ast.Pass) for step in handler.body)
    ]
    assert swallowed == []


def test_no_module_is_dead() -> None:
    """A shipped module is imported by another file, or is a way into a program."""
    imported: set[str] = set()
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                imported.add(node.module)
                imported.update(f"{node.module}.{alias.name}" for alias in node.names)
    plugins = {"testkit.plugin"}
    dead = [
        name_of(path)
        for path in shipped_files()
        if path.stem not in ("__init__", "__main__") and module_of(path) not in imported | plugins
    ]
    assert dead == []


def module_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[len(parts) - 1 - parts[::-1].index("src") + 1 :])


@pytest.mark.parametrize("host", REGISTRY_HOSTS)
def test_no_registry_is_named(host: str) -> None:
    assert [name_of(path) for path in text_files() if host in path.read_text(errors="ignore")] == []


def test_no_path_of_a_machine_is_named() -> None:
    assert [name_of(path) for path in text_files() if MACHINE_PATHS.search(path.read_text(errors="ignore"))] == []


def text_files() -> list[Path]:
    return [path for path in tracked() if path.suffix not in {".png", ".lock"} or path.name == "requirements.lock"]


def test_the_lock_file_has_hashes_and_no_addresses() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = [line for line in lock.splitlines() if "==" in line]
    assert len(pinned) > 50
    assert all(line.rstrip().endswith("\\") for line in pinned), "every requirement is followed by its hashes"
    assert "://" not in lock


@pytest.mark.parametrize("heading", README_HEADINGS)
def test_the_readme_has_its_headings(heading: str) -> None:
    assert heading in (ROOT / "README.md").read_text()


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named
    assert named <= targets
