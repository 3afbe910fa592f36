"""Raw events at rest: AES-256-GCM, bound to the event that they belong to.

The stored form is nonce (12 bytes) and ciphertext with its tag; the id of the key stands in a column of its own. The
first key encrypts, all decrypt, so that keys can be rotated. The form must never change: rows are kept for ever.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chassis.settings import SettingsError

KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID_CHARS = 16


class UnknownKey(Exception):
    """The row was encrypted with a key that is not configured (any more)."""


class NotAuthentic(Exception):
    """The bytes were changed, or belong to another event."""


class RawEventCipher:
    """Encrypts and decrypts the bodies of events."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"keys of {KEY_BYTES} bytes are needed, at least one")
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self.current_key_id = key_id(keys[0])

    @staticmethod
    def parse(text: str) -> RawEventCipher:
        """From base64 keys separated by commas. Raises SettingsError, which never shows a key."""
        try:
            keys = [base64.b64decode(part.strip(), validate=True) for part in text.split(",") if part.strip()]
            return RawEventCipher(keys)
        except (binascii.Error, ValueError):
            raise SettingsError(
                f"RAW_EVENT_KEY is wrong: base64 of {KEY_BYTES} random bytes is needed, several separated by commas"
            ) from None

    def encrypt(self, gateway: str, event_id: str, body: bytes) -> bytes:
        """The stored form, under the current key."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._ciphers[self.current_key_id].encrypt(nonce, body, _belonging(gateway, event_id))

    def decrypt(self, gateway: str, event_id: str, used_key_id: str, stored: bytes) -> bytes:
        """The body. Raises UnknownKey, NotAuthentic."""
        cipher = self._ciphers.get(used_key_id)
        if cipher is None:
            raise UnknownKey(used_key_id)
        try:
            return cipher.decrypt(stored[:NONCE_BYTES], stored[NONCE_BYTES:], _belonging(gateway, event_id))
        except (InvalidTag, ValueError):
            raise NotAuthentic(f"{gateway} {event_id}") from None


def key_id(key: bytes) -> str:
    """A name for the key that tells nothing of it."""
    return hashlib.sha256(b"raw-event-key\x00" + key).hexdigest()[:KEY_ID_CHARS]


def _belonging(gateway: str, event_id: str) -> bytes:
    return f"{gateway}|{event_id}".encode()
