"""Bank's block."""

from __future__ import annotations

from chassis.settings import ServiceSettings


class BankSettings(ServiceSettings):
    """Filled by whoever builds it."""
