"""The ledger's web application: all routes need the service token; health needs none."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Depends, FastAPI

from chassis.http import create_app, require_service_token
from chassis.postgres import is_reachable
from ledger.bootstrap import Parts
from ledger.entrypoints.http import reads, writes


def make_app(parts: Parts) -> FastAPI:
    """The application on these parts."""

    async def readiness() -> Mapping[str, bool]:
        return {"database": await is_reachable(parts.pool)}

    app = create_app(title="Gridledger ledger", readiness=readiness)
    guarded = [Depends(require_service_token(parts.settings.service_token))]
    app.include_router(writes.make_router(parts), dependencies=guarded)
    app.include_router(reads.make_router(parts), dependencies=guarded)
    return app
