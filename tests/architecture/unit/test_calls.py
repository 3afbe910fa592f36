"""Services call over HTTP by chassis' client, whose failures are all httpx's own."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted(ROOT.glob("services/*/src/**/*.py"))
OWN_CLIENT = re.compile(r"httpx\.(?:Async)?Client\(")


def test_no_service_makes_a_client_of_its_own() -> None:
    found = [str(path.relative_to(ROOT)) for path in SOURCES if OWN_CLIENT.search(path.read_text(encoding="utf-8"))]
    assert found == []
    assert any("HttpClient(" in path.read_text(encoding="utf-8") for path in SOURCES)
