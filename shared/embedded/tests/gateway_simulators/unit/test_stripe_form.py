"""Stripe's bracketed forms."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from embedded.gateway_simulators.stripe.form import FIELDS_MAX, BadForm, parse_form


@pytest.mark.parametrize(
    ("pairs", "parsed"),
    [
        ([("amount", "2500"), ("description", "")], {"amount": "2500", "description": ""}),
        ([("metadata[order]", "a&b"), ("metadata[1]", "x")], {"metadata": {"order": "a&b", "1": "x"}}),
        (
            [("line_items[0][price_data][currency]", "usd"), ("line_items[0][quantity]", "1")],
            {"line_items": [{"price_data": {"currency": "usd"}, "quantity": "1"}]},
        ),
        ([("expand[1]", "b"), ("expand[0]", "a")], {"expand": ["a", "b"]}),
        ([("types[]", "a"), ("types[]", "b")], {"types": ["a", "b"]}),
        ([("created[gte]", "5")], {"created": {"gte": "5"}}),
        ([], {}),
    ],
)
def test_brackets_nest(pairs: list[tuple[str, str]], parsed: dict[str, Any]) -> None:
    assert parse_form(urlencode(pairs)) == parsed


@pytest.mark.parametrize(
    "text", ["a=1&a[b]=2", "a[b]=2&a[b][c]=3", "&".join(f"k{number}=1" for number in range(FIELDS_MAX + 1))]
)
def test_a_form_that_contradicts_itself_is_refused(text: str) -> None:
    with pytest.raises(BadForm):
        parse_form(text)
