"""Messages that this service hears, and what each leads to: ``handlers`` ends with the table of all of them.

A handler works in the consumer's transaction. What never will pass becomes a PoisonMessage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chassis.consumer import Handler, MessageConsumer
from chassis.errors import PoisonMessage
from contracts.envelope import Envelope
from contracts.messages import DeploymentRequested
from contracts.topics import DEPLOYMENTS
from deployments import bootstrap
from deployments.application.requesting import RequestTaker
from deployments.domain.deployment import ContradictsRequest, Request

GROUP = "deployments"
# The id is the deployment's name on the grid.
_GRID_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def make_consumer(parts: bootstrap.Parts) -> MessageConsumer:
    """Hears requests; wakes the relay after each."""
    table = handlers(bootstrap.make_taker(parts))
    return MessageConsumer(parts.pool, parts.bus, GROUP, [DEPLOYMENTS], table, after_commit=parts.relay_wakeup.set)


def handlers(taker: RequestTaker) -> Mapping[str, Handler]:
    """Message type → handler."""

    async def on_requested(conn: Any, envelope: Envelope) -> None:
        message = DeploymentRequested.from_envelope(envelope)
        request = Request(
            user_id=message.user_id,
            service_id=message.service_id,
            service_name=message.service_name,
            asset=message.amount.asset,
            amount=message.amount.units,
        )
        _refuse_unusable(message.deployment_id, request)
        try:
            await taker.take(conn, message.deployment_id, request)
        except ContradictsRequest as contradiction:
            raise PoisonMessage("contradicts-request", str(contradiction)) from contradiction

    return {DeploymentRequested.TYPE: on_requested}


def _refuse_unusable(deployment_id: str, request: Request) -> None:
    if not _GRID_NAME.fullmatch(deployment_id):
        raise PoisonMessage("bad-deployment-id", "an id is 1 to 128 letters, digits, dots, dashes or underscores")
    if request.amount <= 0:
        raise PoisonMessage("bad-amount", "the amount of a deployment is above zero")
