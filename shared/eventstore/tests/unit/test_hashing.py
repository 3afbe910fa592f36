from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from eventstore.hashing import GENESIS, chain

HASHES = st.binary(min_size=32, max_size=32)
# Few letters and the separators, so that fields which run into one another are found soon.
NAMES = st.text(alphabet="a1:ü", max_size=4)
VERSIONS = st.integers(min_value=1, max_value=120)
STATES = st.binary(max_size=4) | st.text(alphabet="a1:", max_size=4).map(str.encode)
EVENTS = st.tuples(HASHES | st.just(GENESIS), NAMES, VERSIONS, NAMES, STATES)


def test_the_hash_of_a_known_event_never_changes() -> None:
    """A stored chain must verify for ever: these bytes are the format."""
    first = chain(GENESIS, "wallet:zoë", 1, "ledger.CreditsPurchased", b'{"credits":2500}')
    assert (
        first
        == hashlib.sha256(bytes(32) + b'11:wallet:zo\xc3\xab1:23:ledger.CreditsPurchased16:{"credits":2500}').digest()
    )
    assert first.hex() == "aa0b949e6fded88551409f98d506f050621884f19f46ede3d588bc1637b4748e"
    second = chain(first, "wallet:zoë", 2, "ledger.CreditsHeld", b"")
    assert second.hex() == "d713d40565a58cbd7a6c5ce646a67f81a147b20c3dfb515a6012393517f61fb6"


@given(EVENTS)
def test_a_hash_is_32_bytes_and_always_the_same(event: tuple[bytes, str, int, str, bytes]) -> None:
    assert len(chain(*event)) == 32
    assert chain(*event) == chain(*event)


@given(EVENTS, EVENTS)
def test_different_events_have_different_hashes(
    one: tuple[bytes, str, int, str, bytes], other: tuple[bytes, str, int, str, bytes]
) -> None:
    assert (chain(*one) == chain(*other)) == (one == other)


@given(EVENTS, st.data())
def test_every_field_counts(event: tuple[bytes, str, int, str, bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, 4))
    another = data.draw([HASHES, NAMES, VERSIONS, NAMES, STATES][place].filter(lambda value: value != event[place]))
    assert chain(*event[:place], another, *event[place + 1 :]) != chain(*event)


@given(NAMES, VERSIONS, NAMES, STATES, st.integers(1, 4))
def test_bytes_that_pass_from_one_field_to_the_next_change_the_hash(
    stream: str, version: int, topic: str, state: bytes, moved: int
) -> None:
    """Without the lengths before the fields these two would be the same bytes."""
    longer, shorter = topic + state[:moved].decode(errors="replace"), state[moved:]
    if (longer, shorter) != (topic, state):
        assert chain(GENESIS, stream, version, longer, shorter) != chain(GENESIS, stream, version, topic, state)
