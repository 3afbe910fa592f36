"""Domains are pure: the standard library alone, and of it no I/O, no clock, no chance; those come in from outside."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOMAINS = sorted(ROOT.glob("services/*/src/*/domain"))
IMPURE = {
    "asyncio", "concurrent", "ctypes", "http", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib",
}  # fmt: skip
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input"}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield node.module


def called(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            yield function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_every_service_has_a_domain() -> None:
    assert len(DOMAINS) == len(list(ROOT.glob("services/*/src/*/__main__.py"))) == 4


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda path: path.parent.name)
def test_a_domain_imports_itself_and_the_pure_standard_library(domain: Path) -> None:
    own = f"{domain.parent.name}.domain"
    foreign = {
        f"{path.name}: {name}"
        for path in domain.rglob("*.py")
        for name in imported(ast.parse(path.read_text()))
        if not (name == own or name.startswith(f"{own}."))
        and (name.partition(".")[0] not in sys.stdlib_module_names or name.partition(".")[0] in IMPURE)
    }
    assert foreign == set()


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda path: path.parent.name)
def test_a_domain_asks_for_no_time_and_throws_no_dice(domain: Path) -> None:
    impure = {
        f"{path.name}: {name}"
        for path in domain.rglob("*.py")
        for name in called(ast.parse(path.read_text()))
        if name in IMPURE_CALLS
    }
    assert impure == set()
