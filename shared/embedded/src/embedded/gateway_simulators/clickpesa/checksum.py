"""ClickPesa's two checksums, from its side: what it computes over a request, and puts into its webhooks. No I/O."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any, Literal

Method = Literal["canonical", "legacy"]
OUTSIDE = ("checksum", "checksumMethod")


def checksum(payload: Mapping[str, Any], key: bytes, method: Method = "canonical") -> str:
    """HMAC-SHA256 in lower-case hex over all of ``payload`` but the checksum's own fields."""
    signed = {name: value for name, value in payload.items() if name not in OUTSIDE}
    text = _compact(signed) if method == "canonical" else _joined(signed)
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def is_right(payload: Mapping[str, Any], key: bytes) -> bool:
    """Whether the request carries the checksum of its method."""
    shown = payload.get("checksum")
    method: Method = "legacy" if payload.get("checksumMethod") == "legacy" else "canonical"
    return isinstance(shown, str) and hmac.compare_digest(shown.encode(), checksum(payload, key, method).encode())


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _joined(payload: Mapping[str, Any]) -> str:
    values = (payload[name] for name in sorted(payload))
    return "".join(value if isinstance(value, str) else _compact(value) for value in values)
