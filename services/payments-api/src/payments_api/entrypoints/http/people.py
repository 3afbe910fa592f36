"""Who is asking: the sign-in of people, and the dependency by which a route knows its person.

The demo sign-in believes whoever asks; it exists in demo mode only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from chassis.errors import NotFound, Unauthorized
from chassis.http import ExactRouter, require_service_token
from payments_api.adapters.sessions import Sessions
from payments_api.application.refusals import not_signed_in
from payments_api.entrypoints.http.shapes import DemoSignIn, SignedIn

_bearer = HTTPBearer(auto_error=False, description="The access_token of a sign-in")


async def signed_in_person(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> str:
    """The user id behind the request's token. Raises Unauthorized."""
    sessions: Sessions = request.app.state.sessions
    user_id = await sessions.find(credentials.credentials) if credentials is not None else None
    if user_id is None:
        raise not_signed_in()
    return user_id


Person = Annotated[str, Depends(signed_in_person)]


def require_admin(token: SecretStr | None) -> Callable[[Request], Awaitable[None]]:
    """A dependency that lets pass who shows the admin token. Without one nobody passes. Raises Unauthorized."""
    if token is not None:
        return require_service_token(token)

    async def refuse(_request: Request) -> None:
        raise Unauthorized("unauthorized", "There is no admin token here")

    return refuse


def routes(sessions: Sessions, *, is_open: bool) -> ExactRouter:
    """The sign-in; ``is_open``: a name is enough."""
    router = ExactRouter(prefix="/api/auth", tags=["people"])

    @router.post("/demo", response_model=SignedIn, summary="Sign in as anybody (demo mode only)")
    async def demo(body: DemoSignIn) -> dict[str, Any]:
        if not is_open:
            raise NotFound("not_found", "There is no demo sign-in here")
        session = await sessions.issue(body.user_id)
        return {
            "access_token": session.token,
            "token_type": "bearer",
            "user_id": session.user_id,
            "expires_at": session.expires_at,
        }

    return router
