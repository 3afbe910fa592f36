"""Reads the text of a PDF back, as far as our own receipts with the built-in font need it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

_STREAM = re.compile(rb"stream\n(.*?)\nendstream", re.DOTALL)
_SHOWN = re.compile(rb"\(((?:[^()\\]|\\.)*)\)\s*Tj", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def texts(pdf: bytes) -> Sequence[str]:
    """What is written on the pages, in order, cell by cell."""
    assert pdf.startswith(b"%PDF-")
    pages = [zlib.decompress(stream) for stream in _STREAM.findall(pdf)]
    return [_ESCAPED.sub(rb"\1", shown).decode("latin-1") for page in pages for shown in _SHOWN.findall(page)]
