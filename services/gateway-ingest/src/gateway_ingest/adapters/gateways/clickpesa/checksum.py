"""ClickPesa's checksums: HMAC-SHA256 over a canonical form of the JSON, or over its values (the legacy method).

ClickPesa does not say where a webhook carries it, so the body is looked at first, then its data, then a header. There
is no time in it: an old webhook proves as well as a new one, which is why each is only a reason to ask.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from typing import Any

from gateway_ingest.adapters.gateways.signed import header_of
from gateway_ingest.application.ports import Headers, Prove
from gateway_ingest.domain.signatures import InvalidSignature

HEADER = b"x-clickpesa-signature"
LEGACY = "legacy"
UNSIGNED_FIELDS = frozenset({"checksum", "checksumMethod"})


class _Number(str):
    """A JSON number as it was written: its text is what was signed."""

    __slots__ = ()


def proved_with(secrets: Sequence[bytes]) -> Prove:
    """Proves a webhook by its checksum, made with any of ``secrets``."""

    def prove(headers: Headers, body: bytes, _now_s: float) -> None:
        try:
            texts, shown = _signed_texts(_parse(body), header_of(headers, HEADER), body)
        except (ValueError, RecursionError):
            raise InvalidSignature("malformed") from None
        matches = False
        for secret in secrets:
            for text in texts:
                matches |= hmac.compare_digest(_digest(secret, text), shown)
        if not matches:
            raise InvalidSignature("wrong")

    return prove


def canonical(value: Any) -> str:
    """Compact JSON as JavaScript writes it, the keys of every object in the order of their UTF-16 code units."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{_text(key)}:{canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    return value if isinstance(value, _Number) else _text(value)


def legacy(payload: dict[str, Any]) -> str:
    """The values one after the other, by the order of their keys. Whole objects stand in their canonical form, for in
    the form that JavaScript gives them by itself they would not be covered."""
    values = [payload[key] for key in sorted(payload)]
    return "".join(value if isinstance(value, str) else canonical(value) for value in values)


def _parse(body: bytes) -> dict[str, Any]:
    parsed = json.loads(body, parse_float=_Number, parse_int=_Number, parse_constant=_refuse)
    if not isinstance(parsed, dict):
        raise ValueError("not an object")
    return parsed


def _signed_texts(payload: dict[str, Any], header: bytes | None, body: bytes) -> tuple[list[bytes], bytes]:
    """What may have been signed, and the checksum that is shown for it. Raises InvalidSignature where there is none."""
    data = payload.get("data")
    for part in (payload, data if isinstance(data, dict) else {}):
        if "checksum" in part:
            return [_signed_text(part, part.get("checksumMethod", payload.get("checksumMethod")))], _shown(part)
    if header is None:
        raise InvalidSignature("missing")
    return [_signed_text(payload, payload.get("checksumMethod")), body], header.strip().lower()


def _signed_text(part: dict[str, Any], method: Any) -> bytes:
    signed = {key: value for key, value in part.items() if key not in UNSIGNED_FIELDS}
    return (legacy(signed) if method == LEGACY else canonical(signed)).encode()


def _shown(part: dict[str, Any]) -> bytes:
    checksum = part["checksum"]
    if not isinstance(checksum, str) or isinstance(checksum, _Number):
        raise ValueError("a checksum is a text")
    return checksum.lower().encode()


def _digest(secret: bytes, text: bytes) -> bytes:
    return hmac.digest(secret, text, "sha256").hex().encode()


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
