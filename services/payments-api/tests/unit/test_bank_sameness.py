"""Whether a transfer is one that was confirmed before: by reference, day and content, and by what an operator says."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from chassis.errors import Conflict
from payments_api.application.bank_receipts import Arrival
from payments_api.application.bank_sameness import SAME_WITHIN_DAYS, Confirmed, Line, id_of_another, lines_of, repeated

DAY = date(2026, 5, 10)
LATER = DAY + timedelta(days=SAME_WITHIN_DAYS)
TOO_LATE = LATER + timedelta(days=1)
ALICES, BOBS = "GLR0D6CRTXHD9WSB", "GLV65C17R93ZQG7Z"


def confirmed(name: str = "bt-1", **changed: Any) -> Confirmed:
    given: dict[str, Any] = {
        "payment_id": "p-alice",
        "reference": ALICES,
        "asset": "USD/2",
        "units": 150_000,
        "value_date": DAY,
        "kept_on": date(2026, 1, 1),
    }
    return Confirmed(name, **given | changed)


def arrival(day: date | None = DAY, **changed: Any) -> Arrival:
    given: dict[str, Any] = {"payment_id": "p-alice", "asset": "USD/2", "units": 150_000}
    return Arrival(bank_reference="1", value_date=day, **given | changed)


def line(name: str = "e-1", booked_on: date = DAY, **changed: Any) -> Line:
    given: dict[str, Any] = {"value_date": None, "asset": "USD/2", "units": 150_000, "remittance": ""}
    return Line(name, booked_on, **given | changed)


def code_of(known: list[Confirmed], said: Arrival) -> Any:
    with pytest.raises(Conflict) as refused:
        repeated(known, said)
    return refused.value.code


@pytest.mark.parametrize("day", [DAY, LATER, DAY - (LATER - DAY), None])
def test_near_its_day_a_reference_names_one_transfer(day: date | None) -> None:
    found = repeated([confirmed()], arrival(day))
    assert found == confirmed()
    for changed in ({"payment_id": "p-bob"}, {"units": 1}, {"asset": "EUR/2"}):
        assert code_of([confirmed()], arrival(day, **changed)) == "bank_reference_used"


@pytest.mark.parametrize("changed", [{"payment_id": "p-bob"}, {"units": 1}])
def test_later_it_names_another(changed: dict[str, Any]) -> None:
    assert repeated([confirmed()], arrival(TOO_LATE, **changed)) is None
    assert repeated([], arrival(**changed)) is None


def test_the_very_same_later_is_asked_about() -> None:
    assert code_of([confirmed()], arrival(TOO_LATE)) == "looks_confirmed_already"
    assert repeated([confirmed()], arrival(TOO_LATE, is_another=True)) is None


def test_the_nearest_of_several_is_meant() -> None:
    known = [confirmed("bt-1"), confirmed("bd-2", value_date=TOO_LATE)]
    for day, name in ((DAY, "bt-1"), (TOO_LATE, "bd-2"), (LATER, "bd-2"), (None, "bd-2")):
        found = repeated(known, arrival(day))
        assert found is not None
        assert found.id == name


@pytest.mark.parametrize(("kept_on", "is_same"), [(DAY, True), (LATER, True), (TOO_LATE, False)])
def test_without_a_value_date_the_day_of_confirming_counts_and_further_away_somebody_is_asked(
    kept_on: date, is_same: bool
) -> None:
    known = [confirmed(value_date=None, kept_on=kept_on)]
    if is_same:
        assert repeated(known, arrival()) == known[0]
    else:
        assert code_of(known, arrival()) == "looks_confirmed_already"
    assert code_of(known, arrival(payment_id="p-bob")) == "bank_reference_used"
    assert repeated(known, arrival(None)) == known[0]


def test_a_line_of_another_booking_date_is_asked_about() -> None:
    known = [confirmed(booked_on=frozenset({DAY}))]
    assert repeated(known, arrival(entry_id="e-1", booked_on=DAY)) == known[0]
    assert code_of(known, arrival(entry_id="e-2", booked_on=LATER)) == "looks_confirmed_already"
    assert repeated(known, arrival(LATER)) == known[0], "by hand nobody says when it was booked"
    assert repeated([confirmed()], arrival(entry_id="e-2", booked_on=LATER)) == confirmed()


def test_what_is_said_to_be_another_is_one_unless_the_same_is_said_again() -> None:
    known = [confirmed()]
    assert repeated(known, arrival(is_another=True)) == known[0], "a request that is sent again"
    assert repeated(known, arrival(LATER, is_another=True)) is None
    assert repeated(known, arrival(units=1, is_another=True)) is None
    assert repeated(known, arrival(is_another=True, entry_id="e-1", booked_on=DAY)) is None
    assert repeated([], arrival(None, is_another=True)) is None
    assert repeated(known, arrival(None, is_another=True)) == known[0]
    assert code_of(known, arrival(None, is_another=True, units=1)) == "bank_reference_used"


def test_the_id_of_another_is_made_of_all_that_is_said() -> None:
    said = [arrival(), arrival(LATER), arrival(units=1), arrival(asset="EUR/2"), arrival(payment_id="p-bob")]
    ids = [id_of_another("bt-1", one) for one in (*said, arrival(entry_id="e-1"))] + [id_of_another("bt-2", arrival())]
    assert len(set(ids)) == len(ids)
    assert id_of_another("bt-1", arrival(is_another=True)) == ids[0]
    assert ids[0].startswith("bd-20260510-")


@pytest.mark.parametrize(
    ("changed", "is_settled"),
    [
        ({}, True),
        ({"booked_on": LATER}, True),
        ({"booked_on": TOO_LATE}, False),
        ({"booked_on": TOO_LATE, "value_date": LATER}, True),
        ({"value_date": TOO_LATE}, True),
        ({"units": 1}, False),
        ({"asset": "EUR/2"}, False),
        ({"remittance": f"for {ALICES[:6]} {ALICES[6:].lower()}"}, True),
        ({"remittance": BOBS}, False),
        ({"remittance": f"{BOBS} {ALICES}"}, True),
    ],
)
def test_a_line_tells_of_a_transfer_near_it_that_is_not_for_another(changed: dict[str, Any], is_settled: bool) -> None:
    assert list(lines_of(confirmed(), [line(**changed)])) == (["e-1"] if is_settled else [])


def test_lines_of_one_booking_date_tell_of_a_transfer() -> None:
    lines = [line("e-1", LATER), line("e-2"), line("e-3"), line("e-4", DAY - timedelta(days=1))]
    assert list(lines_of(confirmed(), lines)) == ["e-2", "e-3"]
    assert list(lines_of(confirmed(booked_on=frozenset({LATER})), lines)) == ["e-1"]
    assert list(lines_of(confirmed(), [])) == []
