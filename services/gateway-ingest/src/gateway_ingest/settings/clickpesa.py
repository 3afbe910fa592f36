"""ClickPesa's block."""

from __future__ import annotations

from chassis.settings import ServiceSettings


class ClickPesaSettings(ServiceSettings):
    """Filled by whoever builds it."""
