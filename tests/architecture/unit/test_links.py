"""What documentation links to is there: files, and headings within them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("deploy/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z]+:", re.IGNORECASE)


def links_of(page: Path) -> list[str]:
    """Where its own links lead, not those to other sites."""
    found: list[str] = LINK.findall(CODE.sub("", page.read_text()))
    return [target for target in found if not ELSEWHERE.match(target)]


def anchors_of(page: Path) -> set[str]:
    """Its headings, as links name them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


def missing(page: Path) -> list[str]:
    """Its links that lead nowhere."""
    return [target for target in links_of(page) if not _is_there(page, target)]


def _is_there(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    meant = (page.parent / path).resolve() if path else page
    if not meant.exists():
        return False
    return not anchor or (meant.suffix == ".md" and anchor in anchors_of(meant))


def test_there_are_links_to_look_at() -> None:
    assert len(PAGES) > 20
    assert len(links_of(ROOT / "README.md")) > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert missing(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A *page* (of ours)\n[a](page.md) [b](#a-page-of-ours) [c](gone.md) [d\ne](page.md#gone)\n"
        "`[f](f.md)` [g](x:g)\n"
        "```\n# no heading\n[h](h.md)\n```\n[i](#no-heading)\n"
    )
    assert missing(page) == ["gone.md", "page.md#gone", "#no-heading"]
