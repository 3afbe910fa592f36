"""What only ``reconcile`` is told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, HttpUrl

from chassis.settings import ServiceSettings


class ReconcileSettings(ServiceSettings):
    """The running service needs none of it."""

    ledger_url: Annotated[
        HttpUrl | None, Field(description="The ledger's HTTP interface; only `reconcile` asks it")
    ] = None
