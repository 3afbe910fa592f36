"""``GET /v1/quarantine``: the events that wait for a person, for operators with the service token."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import SecretStr

from chassis.http import ExactRouter, require_service_token
from gateway_ingest.adapters.kept_events import NEWEST, KeptEvents

LIMIT_DEFAULT, LIMIT_MAX = 50, 200


def router(kept: KeptEvents, token: SecretStr) -> ExactRouter:
    """The route, guarded."""
    routes = ExactRouter(prefix="/v1", dependencies=[Depends(require_service_token(token))])

    @routes.get("/quarantine")
    async def quarantine(
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: Annotated[int, Query(ge=1, le=NEWEST)] = NEWEST,
    ) -> dict[str, Any]:
        """Genuine webhooks that make no sense to us, newest first, with the reason; never their content."""
        events = await kept.quarantined(limit, cursor)
        return {
            "events": [
                {
                    "gateway": event.gateway,
                    "event_id": event.event_id,
                    "event_type": event.event_type,
                    "reason": event.reason,
                    "received_at": event.received_at,
                }
                for event in events
            ],
            "next_cursor": str(events[-1].position) if len(events) == limit else None,
        }

    return routes
