"""Stripe's requests: forms whose names nest by brackets, ``line_items[0][price_data][currency]=usd``. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

FIELDS_MAX = 500
_PART = re.compile(r"\[([^\[\]]*)\]")


class BadForm(ValueError):
    """The names contradict each other, or there are too many."""


def parse_form(text: str) -> dict[str, Any]:
    """The form as nested dicts; what is numbered, or has empty brackets, as lists. Raises BadForm."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise BadForm(f"at most {FIELDS_MAX} fields") from error
    made: dict[str, Any] = {}
    for name, value in pairs:
        _put(made, _path(name), value)
    return {name: _listed(value) for name, value in made.items()}


def _path(name: str) -> list[str]:
    first, bracket, rest = name.partition("[")
    return [first, *_PART.findall(bracket + rest)]


def _put(into: dict[str, Any], path: list[str], value: str) -> None:
    *outer, last = path
    for part in outer:
        into = into.setdefault(part or _next(into), {})
        if not isinstance(into, dict):
            raise BadForm(f"{path[0]} is both a value and a container")
    into[last or _next(into)] = value


def _next(into: Iterable[str]) -> str:
    return str(sum(1 for _ in into))


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(each) for name, each in value.items()}
    if inner and all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
