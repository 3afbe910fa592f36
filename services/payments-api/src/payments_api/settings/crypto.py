"""Crypto's block."""

from __future__ import annotations

from chassis.settings import ServiceSettings


class CryptoSettings(ServiceSettings):
    """Filled by whoever builds it."""
