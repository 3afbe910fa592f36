"""Addresses of pages at the demo gateway, where a person plays what the real gateway would do.

Signed with HMAC-SHA256 over their own parameters, so that nobody invents payments there; the demo gateway verifies it
with the same secret.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class DemoPage:
    """The page of one gateway, below ``url``."""

    url: str
    secret: bytes = field(repr=False)

    def address(self, parameters: Mapping[str, str | int]) -> str:
        """``<url>/pay?…&signature=``, signed in the order of ``parameters``."""
        query = urlencode(parameters)
        signature = hmac.digest(self.secret, query.encode(), "sha256").hex()
        return f"{self.url.rstrip('/')}/pay?{query}&signature={signature}"
