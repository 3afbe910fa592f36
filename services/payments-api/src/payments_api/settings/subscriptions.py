"""Subscriptions' block."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chassis.settings import ServiceSettings

DAY_S = 86_400


class SubscriptionSettings(ServiceSettings):
    """Times are in seconds."""

    subscription_grace_s: Annotated[
        int,
        Field(ge=60, le=30 * DAY_S, description="How long a period's bill may be paid before its subscription lapses"),
    ] = 3 * DAY_S
