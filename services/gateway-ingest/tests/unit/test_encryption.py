"""Raw events at rest: round trip, rotation, and every way in which stored bytes can be wrong."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.settings import SettingsError
from gateway_ingest.adapters.encryption import NotAuthentic, RawEventCipher, UnknownKey, key_id

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


@given(body=st.binary(max_size=2000))
def test_what_was_encrypted_comes_back(body: bytes) -> None:
    cipher = RawEventCipher([NEW])
    stored = cipher.encrypt("stripe", "evt_1", body)
    assert cipher.decrypt("stripe", "evt_1", cipher.current_key_id, stored) == body
    assert len(body) < 8 or body not in stored


def test_the_same_body_is_never_stored_the_same() -> None:
    cipher = RawEventCipher([NEW])
    assert cipher.encrypt("stripe", "evt_1", b"body") != cipher.encrypt("stripe", "evt_1", b"body")


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    stored = RawEventCipher([OLD]).encrypt("stripe", "evt_1", b"body")
    rotated = RawEventCipher([NEW, OLD])
    assert rotated.current_key_id == key_id(NEW)
    assert rotated.decrypt("stripe", "evt_1", key_id(OLD), stored) == b"body"
    with pytest.raises(UnknownKey):
        RawEventCipher([NEW]).decrypt("stripe", "evt_1", key_id(OLD), stored)


@pytest.mark.parametrize(("gateway", "event_id"), [("stripe", "evt_2"), ("demo", "evt_1")])
def test_a_body_belongs_to_one_event(gateway: str, event_id: str) -> None:
    cipher = RawEventCipher([NEW])
    stored = cipher.encrypt("stripe", "evt_1", b"body")
    with pytest.raises(NotAuthentic):
        cipher.decrypt(gateway, event_id, cipher.current_key_id, stored)


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s[:5], lambda s: b"", lambda s: s[:-1] + b"\x00\x00"])
def test_changed_bytes_are_seen(change: object) -> None:
    cipher = RawEventCipher([NEW])
    stored = change(cipher.encrypt("stripe", "evt_1", b"body"))  # type: ignore[operator]
    with pytest.raises(NotAuthentic):
        cipher.decrypt("stripe", "evt_1", cipher.current_key_id, stored)


def test_keys_are_read_from_text() -> None:
    text = f"{base64.b64encode(NEW).decode()} , {base64.b64encode(OLD).decode()}"
    assert RawEventCipher.parse(text).current_key_id == key_id(NEW)


@pytest.mark.parametrize("text", ["", ",", "short", base64.b64encode(b"x" * 31).decode(), "!" * 44, "ü" * 44])
def test_a_bad_key_is_one_clear_line_without_the_key(text: str) -> None:
    with pytest.raises(SettingsError) as error:
        RawEventCipher.parse(text)
    assert "RAW_EVENT_KEY" in str(error.value)
    assert not text.strip(",") or text not in str(error.value)
