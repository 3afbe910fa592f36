from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import pytest
from eventsourcing.persistence import (
    DecimalAsStr,
    JSONTranscoder,
    StoredEvent,
    TranscodingNotRegisteredError,
    UUIDAsHex,
)
from hypothesis import given
from hypothesis import strategies as st

from eventstore.mapper import EventMapper, QuickJSONTranscoder, UnknownEventType


class Line(NamedTuple):
    account: str
    amount: int


@dataclass(frozen=True)
class Happened:
    TOPIC: ClassVar[str] = "test.Happened"
    originator_id: str
    originator_version: int
    name: str
    amount: int
    note: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Booked:
    """Its lines are tuples, which JSON does not have."""

    TOPIC: ClassVar[str] = "test.Booked"
    originator_id: str
    originator_version: int
    lines: tuple[Line, ...]

    @staticmethod
    def restore(state: dict[str, Any]) -> None:
        state["lines"] = tuple(Line(*line) for line in state["lines"])


@dataclass(frozen=True)
class Renamed:
    """Version 1 had ``cents``; version 2 called it ``amount``; version 3 has an asset and its lines."""

    TOPIC: ClassVar[str] = "test.Renamed"
    class_version: ClassVar[int] = 3
    originator_id: str
    originator_version: int
    amount: int
    asset: str
    lines: tuple[Line, ...]

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        state["amount"] = state.pop("cents")

    @staticmethod
    def upcast_v2_v3(state: dict[str, Any]) -> None:
        state["asset"] = "USD/2"
        state["lines"] = [["old", state["amount"]]]

    @staticmethod
    def restore(state: dict[str, Any]) -> None:
        state["lines"] = tuple(Line(*line) for line in state["lines"])


@dataclass(frozen=True)
class Loose:
    """Says nothing of what it carries."""

    TOPIC: ClassVar[str] = "test.Loose"
    originator_id: str
    originator_version: int
    value: Any


MAPPER = EventMapper([Happened, Booked, Renamed, Loose])
# PostgreSQL and UTF-8 have no lone surrogates; amounts go beyond 64 bits on both sides.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
AMOUNTS = st.integers() | st.integers(-(2**90), 2**90) | st.sampled_from([2**63 - 1, 2**63, 2**64, -(2**63) - 1])
SCALARS = st.none() | st.booleans() | AMOUNTS | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
STREAMS = TEXT.filter(bool)
VERSIONS = st.integers(1, 2**63 - 1)
LINES = st.lists(st.builds(Line, TEXT, AMOUNTS), max_size=4).map(tuple)
EVENTS = (
    st.builds(Happened, STREAMS, VERSIONS, TEXT, AMOUNTS, st.none() | TEXT, st.dictionaries(TEXT, JSON, max_size=4))
    | st.builds(Booked, STREAMS, VERSIONS, LINES)
    | st.builds(Renamed, STREAMS, VERSIONS, AMOUNTS, TEXT, LINES)
)


def exactly(value: Any) -> Any:
    """A form in which 1, 1.0 and True differ, and tuples from lists."""
    if isinstance(value, Mapping):
        return {key: exactly(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return (type(value), [exactly(inner) for inner in value])
    return (type(value), value)


@given(EVENTS)
def test_an_event_comes_back_as_it_was(event: Happened | Booked | Renamed) -> None:
    back = MAPPER.to_domain_event(MAPPER.to_stored_event(event))
    assert type(back) is type(event)
    assert exactly(vars(back)) == exactly(vars(event))
    assert back == event


@given(EVENTS)
def test_what_is_stored_is_named_by_topic_and_holds_no_import_path(event: Happened | Booked | Renamed) -> None:
    stored = MAPPER.to_stored_event(event)
    assert (stored.originator_id, stored.originator_version) == (event.originator_id, event.originator_version)
    assert stored.topic == event.TOPIC
    state = json.loads(stored.state)
    expected = set(vars(event)) - {"originator_id", "originator_version"}
    assert set(state) == (expected | {"class_version"} if isinstance(event, Renamed) else expected)


def test_the_bytes_of_a_known_event_never_change() -> None:
    """Hashes are over these bytes; what is stored today must be what was stored yesterday."""
    event = Happened("wallet:zoë", 3, "zoë", 2**70, None, {"a": [1, True, None, {}], "b": "§\n"})
    state = '{"name":"zoë","amount":1180591620717411303424,"note":null,"details":{"a":[1,true,null,{}],"b":"§\\n"}}'
    assert MAPPER.to_stored_event(event) == StoredEvent("wallet:zoë", 3, "test.Happened", state.encode())
    booked = Booked("j", 1, (Line("wallet:a", -5), Line("b", 5)))
    assert MAPPER.to_stored_event(booked).state == b'{"lines":[["wallet:a",-5],["b",5]]}'


@given(AMOUNTS)
def test_an_event_of_the_first_version_passes_all_upcasters(cents: int) -> None:
    stored = StoredEvent("a", 7, "test.Renamed", json.dumps({"cents": cents}).encode())
    assert MAPPER.to_domain_event(stored) == Renamed("a", 7, cents, "USD/2", (Line("old", cents),))


@given(AMOUNTS)
def test_an_event_of_a_middle_version_passes_the_later_upcasters(amount: int) -> None:
    stored = StoredEvent("a", 7, "test.Renamed", json.dumps({"class_version": 2, "amount": amount}).encode())
    assert MAPPER.to_domain_event(stored) == Renamed("a", 7, amount, "USD/2", (Line("old", amount),))


def test_an_event_of_today_s_version_passes_no_upcaster() -> None:
    event = Renamed("a", 1, 5, "TFC/2", ())
    stored = MAPPER.to_stored_event(event)
    assert json.loads(stored.state)["class_version"] == 3
    assert MAPPER.to_domain_event(stored) == event
    assert "class_version" not in vars(MAPPER.to_domain_event(stored))


def test_an_event_from_a_newer_program_is_refused() -> None:
    for topic in ("test.Renamed", "test.Happened"):
        stored = StoredEvent("a", 1, topic, b'{"class_version":4}')
        with pytest.raises(ValueError, match="of version 4 is newer than this program"):
            MAPPER.to_domain_event(stored)


@pytest.mark.parametrize("topic", ["test.Gone", "", "os:system", "builtins:dict", "test.Happened "])
def test_a_stored_name_imports_nothing(topic: str) -> None:
    with pytest.raises(UnknownEventType) as refused:
        MAPPER.to_domain_event(StoredEvent("a", 1, topic, b"{}"))
    assert refused.value.args == (topic,)


def test_two_types_cannot_share_a_topic() -> None:
    @dataclass(frozen=True)
    class Impostor:
        TOPIC: ClassVar[str] = "test.Happened"
        originator_id: str
        originator_version: int

    with pytest.raises(ValueError, match=r"test\.Happened"):
        EventMapper([Happened, Impostor])


def test_a_type_needs_a_topic_of_its_own() -> None:
    """One that inherits its name would be read back as its parent."""

    class Heir(Happened):
        pass

    with pytest.raises(KeyError, match="TOPIC"):
        EventMapper([Heir])


NOT_JSON = [
    datetime(2026, 1, 1, tzinfo=UTC),
    Decimal("1.10"),
    UUID(int=7),
    b"bytes",
    {1, 2},
    frozenset("a"),
    Line,
    object(),
    Booked("a", 1, ()),
]


@pytest.mark.parametrize("value", NOT_JSON, ids=repr)
@pytest.mark.parametrize("wrapped", [lambda v: v, lambda v: [v], lambda v: {"k": (v,)}, lambda v: Line("a", v)])
def test_what_json_does_not_have_is_refused_and_never_becomes_something_else(value: Any, wrapped: Any) -> None:
    with pytest.raises(TranscodingNotRegisteredError):
        MAPPER.to_stored_event(Loose("a", 1, wrapped(value)))


@pytest.mark.parametrize("value", [UUID(int=7), Decimal("1.10"), [UUID(int=7), {"k": Decimal(2)}]], ids=repr)
def test_registered_types_come_back_as_they_were(value: Any) -> None:
    transcoder = QuickJSONTranscoder()
    transcoder.register(UUIDAsHex())
    transcoder.register(DecimalAsStr())
    assert transcoder.decode(transcoder.encode(value)) == value


@given(JSON, st.sampled_from(["uuid_hex", "decimal_str", "unknown", None, 7]))
def test_data_that_looks_like_the_transcoder_s_own_is_data(data: Any, name: Any) -> None:
    """Else somebody's metadata could make an event that nobody can read."""
    event = Loose("a", 1, {"deep": [{"_type_": name, "_data_": data}]})
    assert exactly(vars(MAPPER.to_domain_event(MAPPER.to_stored_event(event)))) == exactly(vars(event))


@given(JSON | st.floats() | st.dictionaries(st.integers() | st.booleans() | st.none() | TEXT, JSON, max_size=2))
def test_the_quick_encoder_writes_what_the_library_writes(value: Any) -> None:
    quick, library = QuickJSONTranscoder(), JSONTranscoder()
    written = quick.encode(value)
    assert repr(library.decode(written)) == repr(library.decode(library.encode(value)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_lacks_are_not_silently_null(value: float) -> None:
    back = QuickJSONTranscoder().decode(QuickJSONTranscoder().encode({"value": value}))
    assert repr(back["value"]) == repr(value)
