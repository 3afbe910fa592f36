"""Mail's block."""

from __future__ import annotations

from chassis.settings import ServiceSettings


class MailSettings(ServiceSettings):
    """Filled by whoever builds it."""
