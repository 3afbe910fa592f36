"""Numbers go in and out as they were written; what is not JSON is refused without being repeated."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from chassis.http import MalformedJson, encode_exact, parse_exact

numbers = st.integers(-(10**30), 10**30) | st.decimals(allow_nan=False, allow_infinity=False, places=18).filter(
    lambda value: len(str(value)) <= 60
)
documents = st.recursive(
    st.none() | st.booleans() | st.text() | numbers,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(documents)
def test_what_is_written_reads_back_the_same(document: object) -> None:
    assert parse_exact(encode_exact(document)) == document


@pytest.mark.parametrize("text", ["25.00", "0.10", "1E+2", "-1E-18", "9999999999999.99"])
def test_a_decimal_keeps_its_digits(text: str) -> None:
    assert encode_exact({"amount": Decimal(text)}) == b'{"amount":' + text.encode() + b"}"


def test_a_fraction_is_read_as_decimal_and_never_as_float() -> None:
    value = parse_exact(b'{"amount": 0.1}')["amount"]
    assert type(value) is Decimal
    assert value == Decimal("0.1")


def test_times_ids_and_models_are_written_plainly() -> None:
    class Row(BaseModel):
        amount: Decimal

    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    content = {"at": moment, "id": UUID(int=1), "row": Row(amount=Decimal("1.50"))}
    assert encode_exact(content) == (
        b'{"at":"2026-01-02T03:04:05Z","id":"00000000-0000-0000-0000-000000000001","row":{"amount":1.50}}'
    )


def test_what_has_no_json_form_is_a_bug() -> None:
    with pytest.raises(TypeError, match="object is not JSON"):
        encode_exact({"x": object()})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"{} {}", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "-Infinity"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "stands twice"),
        (b'"\xff"', "UTF-8"),
        ('{"a": "ü"}'.encode("utf-16"), "UTF-8"),
        (b'"\\ud800"', "Unicode"),
        (b'{"\\udfff": 1}', "Unicode"),
        (b"[" * 60_000, "nested"),
        (b"1" * 65, "longer than 64"),
        (b"1e" + b"1" * 64, "longer than 64"),
    ],
)
def test_what_is_not_our_json_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedJson) as refused:
        parse_exact(body)
    assert refused.value.status_code == 400
    assert reason in refused.value.detail


def test_a_pair_of_surrogates_and_a_nul_are_text() -> None:
    body = json.dumps({"a": "😀", "b": "\0"}).encode()
    assert b"\\ud83d" in body
    assert parse_exact(body) == {"a": "😀", "b": "\0"}


def test_ten_megabytes_of_digits_are_refused_before_they_are_a_number() -> None:
    with pytest.raises(MalformedJson):
        parse_exact(b"[" + b"9" * 10_000_000 + b"]")
